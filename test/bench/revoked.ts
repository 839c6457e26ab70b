/*
 * A revocation counts when every verifier refuses the token. That is measured with two verifiers under the load of a busy company,
 * one revocation after the other, each from its commit to the first refusal of the later verifier.
 */
import pg from "pg";
import type { Figures } from "./figures.ts";
import { type Generator, httpRequest, startGenerator } from "./load/load.ts";
import { type BenchVerifier, startVerifyStage } from "./verify-stage.ts";

const TOKENS = 20_000;
const REVOCATIONS = 1_000;
const BYSTANDERS = 500;
const REQUESTS_PER_SECOND = 5_000;
const CONNECTIONS = 32;
const LOAD_SECONDS = 5;
const LIMIT_MS = 5_000;

/** Milliseconds from the commit of a revocation until both of two verifiers refuse the token, at 5,000 other requests a second. */
export async function benchRevoked(tell: (text: string) => void): Promise<Figures> {
  const stage = await startVerifyStage(TOKENS);
  const verifiers = [await stage.startVerifier(), await stage.startVerifier()];
  const generators = verifiers.map(() => startGenerator());
  const client = new pg.Client({ connectionString: stage.databaseUrl });
  await client.connect();
  const bystanders = stage.tokens
    .slice(REVOCATIONS, REVOCATIONS + BYSTANDERS)
    .map(({ plaintext }) => request(plaintext));
  const ended = new AbortController();
  const loads = verifiers.map((verifier, place) =>
    keepLoading(generators[place] as Generator, verifier, bystanders, ended.signal),
  );
  try {
    const seenMs: number[] = [];
    for (const { id, plaintext } of stage.tokens.slice(0, REVOCATIONS)) {
      await Promise.all(verifiers.map((verifier) => untilStatus(verifier, plaintext, 200)));
      await client.query("update apitoken.tokens set revoked_at = now() where id = $1", [id]);
      const committedAtMs = performance.now();
      await Promise.all(verifiers.map((verifier) => untilStatus(verifier, plaintext, 401)));
      seenMs.push(performance.now() - committedAtMs);
    }
    ended.abort();
    const rates = await Promise.all(loads);
    const perSecond = rates.reduce((sum, rate) => sum + rate, 0);
    const sorted = seenMs.sort((left, right) => left - right);
    const quantile = (share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
    tell(
      `${REVOCATIONS} revocations at ${perSecond.toFixed(0)} requests a second: p50 ${quantile(0.5).toFixed(1)} ms, p99 ${quantile(0.99).toFixed(1)} ms`,
    );
    return {
      revoked_seen_p50_ms: quantile(0.5),
      revoked_seen_p99_ms: quantile(0.99),
      revoked_seen_max_ms: quantile(1),
      revoked_load_per_second: Math.round(perSecond),
    };
  } finally {
    ended.abort();
    await Promise.allSettled(loads);
    for (const generator of generators) generator.stop();
    await client.end();
    await Promise.all(verifiers.map(({ process }) => process.stop()));
    await stage.stop();
  }
}

const request = (plaintext: string) => httpRequest("/verify", { Authorization: `Bearer ${plaintext}` });

/** Asks about good tokens until the signal; returns how many answers there were a second. All of them must be yes. */
async function keepLoading(
  generator: Generator,
  { gatewayPort }: BenchVerifier,
  requests: readonly string[],
  end: AbortSignal,
): Promise<number> {
  const rates: number[] = [];
  while (!end.aborted) {
    const perSecond = REQUESTS_PER_SECOND / 2;
    const result = await generator.send({
      port: gatewayPort,
      requests,
      connections: CONNECTIONS,
      seconds: LOAD_SECONDS,
      perSecond,
      isBursty: true,
    });
    const others = Object.keys(result.statuses).filter((status) => status !== "200" && status !== "broken off");
    if (others.length > 0) throw new Error(`good tokens were answered with ${others.join(", ")}`);
    rates.push(result.perSecond);
  }
  return rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
}

/** Asks again and again until a verifier answers with this status. */
async function untilStatus({ gatewayPort }: BenchVerifier, plaintext: string, status: number): Promise<void> {
  const endsAtMs = performance.now() + LIMIT_MS;
  while (performance.now() < endsAtMs) {
    const response = await fetch(`http://127.0.0.1:${gatewayPort}/verify`, {
      headers: { authorization: `Bearer ${plaintext}` },
    });
    await response.arrayBuffer();
    if (response.status === status) return;
  }
  throw new Error(`a verifier did not answer ${status} within ${LIMIT_MS} ms`);
}
