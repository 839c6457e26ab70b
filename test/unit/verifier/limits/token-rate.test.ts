import { expect, test } from "vitest";
import type { RateLimit } from "../../../../src/token/rate-limit.ts";
import { limitRates } from "../../../../src/verifier/limits/token-rate.ts";
import type { Answer, CountedAnswer } from "../../../../src/verifier/lookup.ts";
import { KnownToken } from "../../../../src/verifier/memory/known-token.ts";
import { aVerifiableToken, NOW } from "../../../support/builders.ts";

const LIMIT: RateLimit = { requests: 2, seconds: 10 };
const known = (rateLimit: RateLimit | undefined, before?: KnownToken, id = "abcdefghijkl") =>
  new KnownToken(aVerifiableToken(id, { rateLimit }), NOW.getTime(), before);
const good = (token: ReturnType<typeof known>): Answer => ({
  kind: "yes",
  token,
  scopes: [],
  isInGrace: false,
  atMs: 0,
});

/** A client that shows tokens, each with the answer that the look-up gives, at a time that the test moves. */
function aClient() {
  const clock = { ms: 0 };
  const next: { answer: Answer | Promise<Answer> } = { answer: { kind: "no", why: "Unknown" } };
  const lookup = limitRates(
    () => next.answer,
    () => clock.ms,
  );
  const show = (answer: Answer | Promise<Answer>, isShadow = false) => {
    next.answer = answer;
    return lookup("token", { address: "192.0.2.1", scopes: [] }, isShadow);
  };
  return { clock, show };
}

const kindOf = (answer: CountedAnswer | Promise<CountedAnswer>) => (answer instanceof Promise ? answer : answer.kind);

test("a token may be used as often as its limit says, then it is limited, and then it may be used again", () => {
  const { clock, show } = aClient();
  const token = known(LIMIT);
  expect(show(good(token))).toEqual({ ...good(token), rate: { limit: LIMIT, left: 1, seconds: 5 } });
  expect(show(good(token))).toMatchObject({ kind: "yes", rate: { left: 0, seconds: 5 } });
  expect(show(good(token))).toEqual({ kind: "limited", token, rate: { limit: LIMIT, left: 0, seconds: 5 } });
  clock.ms = 4_999;
  expect(show(good(token))).toMatchObject({ kind: "limited", rate: { seconds: 1 } });
  clock.ms = 5_000;
  expect([show(good(token)), show(good(token))].map(kindOf)).toEqual(["yes", "limited"]);
});

test("an answer that comes later is counted when it is there", async () => {
  const { show } = aClient();
  const token = known({ requests: 1, seconds: 10 });
  const answers = [show(Promise.resolve(good(token))), show(Promise.resolve(good(token)))];
  expect((await Promise.all(answers)).map(({ kind }) => kind)).toEqual(["yes", "limited"]);
});

test("each token has a limit of its own", () => {
  const { show } = aClient();
  const [one, other] = [known(LIMIT), known(LIMIT, undefined, "mnopqrstuvwx")];
  for (let count = 0; count < 3; count += 1) show(good(one));
  expect(show(good(other))).toMatchObject({ kind: "yes", rate: { left: 1 } });
});

test("a token without a limit gets the answer of the look-up itself", () => {
  const { show } = aClient();
  const answer = good(known(undefined));
  for (let count = 0; count < 100; count += 1) expect(show(answer)).toBe(answer);
});

test("what is refused anyway does not use the limit up", () => {
  const { show } = aClient();
  const token = known(LIMIT);
  const refused: Answer = { kind: "no", why: "ScopeMissing", token };
  for (let count = 0; count < 10; count += 1) expect(show(refused)).toBe(refused);
  expect(show(good(token))).toMatchObject({ rate: { left: 1 } });
});

test("requests in shadow mode use up only what others in shadow mode have left", () => {
  const { show } = aClient();
  const token = known(LIMIT);
  const answer = good(token);
  expect(show(answer, true), "without a word of the limit").toBe(answer);
  expect([1, 2].map(() => kindOf(show(answer, true)))).toEqual(["yes", "limited"]);
  expect([1, 2, 3].map(() => kindOf(show(good(token))))).toEqual(["yes", "yes", "limited"]);
});

test("a changed row takes effect with the next request, and gives back nothing", () => {
  const { show } = aClient();
  const before = known(LIMIT);
  for (let count = 0; count < 2; count += 1) show(good(before));
  const same = known(LIMIT, before);
  expect(kindOf(show(good(same)))).toBe("limited");
  expect(kindOf(show(good(known(undefined, same))))).toBe("yes");
  expect(kindOf(show(good(known(LIMIT, same))))).toBe("limited");
});
