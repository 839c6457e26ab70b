/*
 * A company runs as many verifiers as it needs, so they must not get in each other's way: one for each core, against as many empty
 * servers. The generators take their share of the same cores, from both sides.
 */
import { availableParallelism } from "node:os";
import { type Figures, inTurn, median } from "./figures.ts";
import { readImageCommand } from "./image.ts";
import { httpRequest, requireGood, startBareServer, startGenerator } from "./load/load.ts";
import { startVerifyStage } from "./verify-stage.ts";

const TOKENS = 20_000;
const BUSY_TOKENS = 500;
const CONNECTIONS = 32;
const ROUNDS = 5;
const ROUND_SECONDS = 3;
const WARM_UP_SECONDS = 15;

/** Requests per second of a verifier on each core, over those of as many empty servers. */
export async function benchCores(tell: (text: string) => void): Promise<Figures> {
  const stage = await startVerifyStage(TOKENS);
  const { nodeOptions } = readImageCommand("verifier");
  const each = Array.from({ length: availableParallelism() });
  const verifiers = await Promise.all(each.map(() => stage.startVerifier()));
  const bares = await Promise.all(each.map(() => startBareServer(nodeOptions)));
  const generators = each.map(() => startGenerator());
  const requests = stage.tokens
    .slice(0, BUSY_TOKENS)
    .map(({ plaintext }) => httpRequest("/verify/scope/read/-/", { Authorization: `Bearer ${plaintext}` }));
  /** All of them at once, and what they answer together each second. */
  const load = async (ports: readonly number[], seconds: number) => {
    const sent = generators.map((generator, place) =>
      generator.send({ port: ports[place] as number, requests, connections: CONNECTIONS, seconds }),
    );
    return (await Promise.all(sent)).map(requireGood).reduce((sum, { perSecond }) => sum + perSecond, 0);
  };
  const [ours, theirs] = [verifiers.map(({ gatewayPort }) => gatewayPort), bares.map(({ port }) => port)];
  try {
    for (const ports of [ours, theirs]) await load(ports, WARM_UP_SECONDS);
    const rates = await inTurn(
      ROUNDS,
      () => load(ours, ROUND_SECONDS),
      () => load(theirs, ROUND_SECONDS),
    );
    const [our, their] = [median(rates.ours), median(rates.theirs)];
    tell(
      `${each.length} verifiers: ${our.toFixed(0)} a second together, ${each.length} empty servers ${their.toFixed(0)}`,
    );
    return { verify_all_cores_per_second: Math.round(our), verify_all_cores_over_bare: our / their };
  } finally {
    for (const { stop } of [...generators, ...bares]) stop();
    for (const { process } of verifiers) await process.stop();
    await stage.stop();
  }
}
