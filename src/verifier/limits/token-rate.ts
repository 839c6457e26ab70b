/*
 * How often each token is used, by this verifier's count, and the refusal of what is beyond its limit. Only requests that would pass
 * count, so nobody who lacks the token or a scope can use its limit up. A token without a limit costs one comparison.
 */
import { chain } from "../../runtime/chain.ts";
import { type Bucket, createBucket, type RateLimit, readStanding, takeRequest } from "../../token/rate-limit.ts";
import type { Answer, CountedAnswer } from "../lookup.ts";
import type { GuardedLookup } from "./failure-limit.ts";

/** Says what a token that a client shows is worth, and counts the request. Those of shadow mode use up nothing but each other. */
export type CountedLookup = (
  plaintext: string,
  request: Parameters<GuardedLookup>[1],
  isShadow: boolean,
) => CountedAnswer | Promise<CountedAnswer>;

type GoodAnswer = Answer & { kind: "yes" };

/** Puts the limits of tokens behind a look-up. Begins with nothing used. Times are those of `performance.now()`. */
export function limitRates(lookup: GuardedLookup, now = () => performance.now()): CountedLookup {
  // By what is kept of a token across all changes of its row, and for no longer.
  const buckets = new WeakMap<object, Bucket>();
  const shadowBuckets = new WeakMap<object, Bucket>();

  const count = (answer: GoodAnswer, limit: RateLimit, isShadow: boolean): CountedAnswer => {
    const all = isShadow ? shadowBuckets : buckets;
    const { token } = answer;
    let bucket = all.get(token.uses);
    if (bucket === undefined) {
      bucket = createBucket();
      all.set(token.uses, bucket);
    }
    const nowMs = now();
    const isWithin = takeRequest(bucket, limit, nowMs);
    if (isWithin && isShadow) return answer; // clients must not notice it
    const rate = readStanding(bucket, limit, nowMs);
    return isWithin ? { ...answer, rate } : { kind: "limited", token, rate };
  };
  const settle = (answer: Answer, isShadow: boolean): CountedAnswer => {
    if (answer.kind !== "yes") return answer;
    const { rateLimit } = answer.token;
    return rateLimit === undefined ? answer : count(answer, rateLimit, isShadow);
  };
  return (plaintext, request, isShadow) => chain(lookup(plaintext, request), (answer) => settle(answer, isShadow));
}
