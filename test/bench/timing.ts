/*
 * Refusals are the same byte for byte. Whether their times give the reason away is measured here, as somebody next to the verifier
 * would: over one connection, one request after the other, the reasons in random order. It is reported and has no target.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createToken } from "../../src/token/token-string.ts";
import { blockByHand, changeByHand, forgeSecret, type HandMadeToken } from "../support/verifier.ts";
import { type Figures, median } from "./figures.ts";
import { httpRequest } from "./load/load.ts";
import { compareRanks } from "./statistics.ts";
import { startVerifyStage, type VerifyStage } from "./verify-stage.ts";

const TOKENS = 20_000;
/** Tokens of each kind: so many that none is always the one that was asked about a moment ago. */
const OF_EACH = 100;
const ROUNDS = 1_500;
const WARM_UP = 100;
const BLOCKED_OWNER = "blocked";
const DAY = "interval '1 day'";

/** The reasons for which a verifier that knows the id refuses. Their times should not differ. */
const KNOWN = ["wrong secret", "revoked", "expired", "blocked"] as const;
/** Those that a client can find out without the verifier: a checksum that is wrong, and an id that nobody has. */
const OTHERS = ["malformed", "unknown id"] as const;
type Reason = (typeof KNOWN)[number] | (typeof OTHERS)[number];

/** Milliseconds by reason. */
type Samples = Readonly<Record<Reason, number[]>>;

/** How far the times of refusals are apart, by reason. */
export async function benchTiming(tell: (text: string) => void): Promise<Figures> {
  const stage = await startVerifyStage(TOKENS);
  const makers = await prepareTokens(stage);
  const verifier = await stage.startVerifier();
  const socket = connect({ host: "127.0.0.1", port: verifier.gatewayPort, noDelay: true });
  try {
    await once(socket, "connect");
    const samples = await measure(socket, makers);
    for (const line of describe(samples)) tell(line);
    return summarize(samples);
  } finally {
    socket.destroy();
    await verifier.process.stop();
    await stage.stop();
  }
}

/** What makes a token that is refused for a reason. */
async function prepareTokens({ databaseUrl, tokens }: VerifyStage): Promise<Readonly<Record<Reason, () => string>>> {
  const part = (place: number) => tokens.slice(place * OF_EACH, (place + 1) * OF_EACH);
  const [wrong, revoked, expired, blocked] = [part(0), part(1), part(2), part(3)];
  const change = async (some: readonly HandMadeToken[], changes: string) => {
    for (const token of some) await changeByHand(databaseUrl, token, changes);
  };
  await change(revoked, `revoked_at = now() - ${DAY}`);
  await change(expired, `issued_at = now() - 2 * ${DAY}, expires_at = now() - ${DAY}`);
  await change(blocked, `owner = '${BLOCKED_OWNER}'`);
  await blockByHand(databaseUrl, BLOCKED_OWNER);
  const inTurn = (texts: readonly string[]) => {
    let next = 0;
    return () => texts[next++ % texts.length] as string;
  };
  const plain = (some: readonly HandMadeToken[]) => inTurn(some.map(({ plaintext }) => plaintext));
  return {
    "wrong secret": inTurn(wrong.map(forgeSecret)),
    revoked: plain(revoked),
    expired: plain(expired),
    blocked: plain(blocked),
    malformed: () => spoil(createToken().plaintext),
    "unknown id": () => createToken().plaintext,
  };
}

const spoil = (token: string) => `${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`;

async function measure(socket: Socket, makers: Readonly<Record<Reason, () => string>>): Promise<Samples> {
  const samples: Samples = {
    "wrong secret": [],
    revoked: [],
    expired: [],
    blocked: [],
    malformed: [],
    "unknown id": [],
  };
  for (let round = -WARM_UP; round < ROUNDS; round += 1) {
    for (const reason of shuffle([...KNOWN, ...OTHERS])) {
      const bytes = Buffer.from(httpRequest("/verify", { Authorization: `Bearer ${makers[reason]()}` }), "latin1");
      const ms = await askFor401(socket, bytes);
      if (round >= 0) samples[reason].push(ms);
    }
  }
  return samples;
}

/** How long a refusal takes, in ms. Throws if the answer is another one. */
async function askFor401(socket: Socket, request: Buffer): Promise<number> {
  const startedAt = process.hrtime.bigint();
  socket.write(request);
  const [answer] = (await once(socket, "data")) as [Buffer];
  const ms = Number(process.hrtime.bigint() - startedAt) / 1e6;
  if (!answer.toString("latin1").startsWith("HTTP/1.1 401 ")) throw new Error(`not a refusal: ${answer}`);
  return ms;
}

/** Fisher and Yates. */
function shuffle(reasons: Reason[]): Reason[] {
  for (let place = reasons.length - 1; place > 0; place -= 1) {
    const other = Math.floor(Math.random() * (place + 1));
    [reasons[place], reasons[other]] = [reasons[other] as Reason, reasons[place] as Reason];
  }
  return reasons;
}

/** A line for each reason, and one for each pair. */
function* describe(samples: Samples): Generator<string> {
  const us = (ms: number) => (ms * 1_000).toFixed(1);
  const reasons = [...KNOWN, ...OTHERS];
  for (const reason of reasons) {
    const sorted = samples[reason].toSorted((left, right) => left - right);
    const quantile = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
    yield `${reason}: median ${us(median(sorted))} us, quartiles ${us(quantile(0.25))} to ${us(quantile(0.75))} us`;
  }
  for (const [first, second] of pairsOf(reasons)) {
    const { superiority, z } = compareRanks(samples[first], samples[second]);
    const gap = median(samples[first]) - median(samples[second]);
    yield `${first} - ${second}: ${us(gap)} us, longer in ${(superiority * 100).toFixed(1)} % of pairs, z ${z.toFixed(1)}`;
  }
}

/** The largest differences: among the reasons of known ids, and between these and the others. */
function summarize(samples: Samples): Figures {
  const gapUs = (one: Reason, other: Reason) => Math.abs(median(samples[one]) - median(samples[other])) * 1_000;
  const advantage = (one: Reason, other: Reason) =>
    Math.abs(compareRanks(samples[one], samples[other]).superiority - 0.5) * 2;
  const known = pairsOf(KNOWN);
  const largest = (pairs: readonly (readonly [Reason, Reason])[], measureOf: typeof gapUs) =>
    Math.max(...pairs.map((pair) => measureOf(...pair)));
  const against = (other: Reason) => KNOWN.map((reason) => [reason, other] as const);
  return {
    timing_known_gap_us: largest(known, gapUs),
    timing_known_advantage: largest(known, advantage),
    timing_malformed_gap_us: largest(against("malformed"), gapUs),
    timing_unknown_gap_us: largest(against("unknown id"), gapUs),
  };
}

const pairsOf = <Item>(items: readonly Item[]) =>
  items.flatMap((first, place) => items.slice(place + 1).map((second) => [first, second] as const));
