/*
 * The verifier is asked for each request of a company, so it is measured against the empty server that it could be at best, with
 * 100,000 tokens in its memory.
 */
import { createToken } from "../../src/token/token-string.ts";
import { type Figures, inTurn, median } from "./figures.ts";
import { readImageCommand } from "./image.ts";
import {
  type BareServer,
  type Generator,
  httpRequest,
  type Load,
  type LoadResult,
  requireGood,
  startBareServer,
  startGenerator,
} from "./load/load.ts";
import { readController } from "./metrics.ts";
import { type BenchVerifier, readResidentMib, settle, startVerifyStage, type VerifyStage } from "./verify-stage.ts";

const TOKENS = 100_000;
/** How many of them are used all the time. */
const BUSY_TOKENS = 500;
const CONNECTIONS = 64;
const ROUNDS = 5;
const ROUND_SECONDS = 3;
/** On two cores that are both in use, Node needs that long until it has compiled what is used most. */
const WARM_UP_SECONDS = 15;
/** A stall of the machine takes a whole round, so there are many short ones. */
const PACED_ROUNDS = 15;
const PACED_SECONDS = 1;
const FLOOD_SECONDS = 60;
const FLOOD_BARE_SECONDS = 20;
/** Latencies are medians of windows of this length, for the same reason. */
const FLOOD_WINDOW_SECONDS = 5;
const FLOOD_CONNECTIONS = 512;
/** A million that are garbage, and a million that are well-formed, and some more for the seconds in which it begins and ends. */
const FLOOD_PER_MINUTE = 2_040_000;
const BAD_TOKENS = 200_000;
/** A million requests, and how many tokens are used at once afterwards. */
const MEMORY_PARTS = 10;
const MEMORY_PART = 100_000;
const MEMORY_TOKENS = 10_000;

/** What all measurements work with. */
interface Scene {
  readonly stage: VerifyStage;
  readonly verifier: BenchVerifier;
  readonly bare: BareServer;
  readonly generator: Generator;
  readonly tell: (text: string) => void;
}

/** Requests per second and latencies of /verify and /introspect, over those of the empty server; start, memory and a flood. */
export async function benchVerify(tell: (text: string) => void): Promise<Figures> {
  const stage = await startVerifyStage(TOKENS);
  tell(`${TOKENS} tokens are in the database`);
  const verifier = await stage.startVerifier();
  const bare = await startBareServer(readImageCommand("verifier").nodeOptions);
  const generator = startGenerator();
  const scene: Scene = { stage, verifier, bare, generator, tell };
  try {
    tell(`listening after ${verifier.listeningMs.toFixed(0)} ms, ready after ${verifier.readyMs.toFixed(0)} ms`);
    return {
      verifier_listening_ms: Math.round(verifier.listeningMs),
      verifier_warm_start_seconds: verifier.readyMs / 1_000,
      ...(await measureVerify(scene)),
      ...(await measureIntrospection(scene)),
      ...(await measureFlood(scene)),
      ...(await measureMemory(scene)),
    };
  } finally {
    generator.stop();
    bare.stop();
    await verifier.process.stop();
    await stage.stop();
  }
}

const verifyRequests = (tokens: VerifyStage["tokens"]) =>
  tokens.map(({ plaintext }) =>
    httpRequest("/verify/scope/read/-/orders/7?page=2", { Authorization: `Bearer ${plaintext}` }),
  );
/** Every other one has a checksum that does not fit; the others are well-formed and unknown. */
const badRequests = (length: number) =>
  Array.from({ length }, (_, index) => {
    const { plaintext } = createToken();
    const token = index % 2 === 0 ? plaintext : `${plaintext.slice(0, -1)}${plaintext.endsWith("0") ? "1" : "0"}`;
    return httpRequest("/verify/-/", { Authorization: `Bearer ${token}` });
  });
const busyTokens = ({ tokens }: VerifyStage) => tokens.slice(0, BUSY_TOKENS);

async function measureVerify(scene: Scene): Promise<Figures> {
  const { stage, verifier, tell } = scene;
  const requests = verifyRequests(busyTokens(stage));
  const lookups = async () => (await readController(verifier.metricsUrl))("apitoken_verifier_lookup_statements_total");
  const before = await lookups();
  const { ours, theirs, hits, busy } = await compare(scene, verifier.gatewayPort, requests);
  const statements = (await lookups()) - before;
  tell(
    `/verify: ${ours.toFixed(0)} a second, bare ${theirs.toFixed(0)}, the generator used ${busy.toFixed(2)} of a core`,
  );
  const paced = { requests, seconds: PACED_SECONDS, perSecond: ours / 2 };
  const latency = await alternate(scene, verifier.gatewayPort, paced, PACED_ROUNDS);
  const p99Of = (those: readonly LoadResult[]) => median(those.map(({ p99Ms }) => p99Ms));
  const [p99, bareP99] = [p99Of(latency.ours), p99Of(latency.theirs)];
  tell(`at half load p99 is ${p99.toFixed(3)} ms, bare ${bareP99.toFixed(3)} ms`);
  return {
    verify_per_second: Math.round(ours),
    verify_over_bare: ours / theirs,
    verify_p99_over_bare: p99 / bareP99,
    verify_statements_per_1000: (statements / hits) * 1_000,
    generator_busy: busy,
  };
}

async function measureIntrospection(scene: Scene): Promise<Figures> {
  const { stage, verifier, tell } = scene;
  const authorization = `Basic ${btoa(`caller:${stage.caller.plaintext}`)}`;
  const requests = busyTokens(stage).map(({ plaintext }) =>
    httpRequest("/introspect", { Authorization: authorization }, { token: plaintext }),
  );
  const { ours, theirs } = await compare(scene, verifier.introspectionPort, requests);
  tell(`/introspect: ${ours.toFixed(0)} a second, bare ${theirs.toFixed(0)}`);
  return { introspect_per_second: Math.round(ours), introspect_over_bare: ours / theirs };
}

/** Sends the same load to the verifier and to the empty server, in turn. */
function alternate(
  { bare, generator }: Scene,
  port: number,
  load: Omit<Load, "port" | "connections">,
  rounds = ROUNDS,
) {
  const sendTo = async (to: number) =>
    requireGood(await generator.send({ ...load, connections: CONNECTIONS, port: to }));
  return inTurn(
    rounds,
    () => sendTo(port),
    () => sendTo(bare.port),
  );
}

/** Requests per second of the verifier and of the empty server: medians of rounds that alternate, after a warm-up. */
async function compare(scene: Scene, port: number, requests: readonly string[]) {
  const load = { requests, connections: CONNECTIONS };
  for (const warmed of [port, scene.bare.port])
    await scene.generator.send({ ...load, port: warmed, seconds: WARM_UP_SECONDS });
  const results = await alternate(scene, port, { requests, seconds: ROUND_SECONDS });
  const rate = (those: readonly LoadResult[]) => median(those.map(({ perSecond }) => perSecond));
  return {
    ours: rate(results.ours),
    theirs: rate(results.theirs),
    hits: results.ours.reduce((sum, { statuses }) => sum + (statuses["200"] ?? 0), 0),
    busy: Math.max(...results.theirs.map(({ busy }) => busy)),
  };
}

/** Floods the verifier with tokens that do not exist, while others use good ones; and then the empty server, to compare with. */
async function measureFlood(scene: Scene): Promise<Figures> {
  const { stage, verifier, bare, tell } = scene;
  const before = { mib: readResidentMib(verifier.process.pid), transactions: await stage.countTransactions() };
  const { flooded, p99sMs } = await flood(scene, verifier.gatewayPort, FLOOD_SECONDS);
  await settle();
  const transactions = (await stage.countTransactions()) - before.transactions;
  const growth = readResidentMib(verifier.process.pid) - before.mib;
  const ofBare = await flood(scene, bare.port, FLOOD_BARE_SECONDS);
  tell(`flood: ${flooded.perSecond.toFixed(0)} a second, ${JSON.stringify(flooded.statuses)}`);
  const list = (latencies: readonly number[]) => latencies.map((ms) => ms.toFixed(1)).join(", ");
  tell(`meanwhile, good tokens were answered within (p99) ${list(p99sMs)} ms, bare ${list(ofBare.p99sMs)} ms`);
  return {
    flood_refused: Math.round(flooded.perSecond * FLOOD_SECONDS),
    flood_good_p99_ms: median(p99sMs),
    flood_good_worst_p99_ms: Math.max(...p99sMs),
    flood_bare_p99_ms: median(ofBare.p99sMs),
    flood_transactions_per_second: transactions / FLOOD_SECONDS,
    flood_rss_growth_mib: Math.round(growth),
  };
}

/** Sends a server a flood of bad tokens, and good ones next to it. */
async function flood({ stage }: Scene, port: number, seconds: number) {
  // Who floods has machines of their own; here they share one with those who must not notice.
  const [flooder, others] = [startGenerator({ isModest: true }), startGenerator()];
  const bad = {
    requests: badRequests(BAD_TOKENS),
    connections: FLOOD_CONNECTIONS,
    perSecond: FLOOD_PER_MINUTE / 60,
  };
  const usual = { requests: verifyRequests(busyTokens(stage)), connections: 8, perSecond: 200 };
  try {
    const flooding = flooder.send({ ...bad, port, seconds });
    const p99sMs: number[] = [];
    while (p99sMs.length < seconds / FLOOD_WINDOW_SECONDS) {
      const window = { ...usual, port, seconds: FLOOD_WINDOW_SECONDS - 0.1 };
      p99sMs.push(requireGood(await others.send(window)).p99Ms);
    }
    return { flooded: await flooding, p99sMs };
  } finally {
    flooder.stop();
    others.stop();
  }
}

/**
 * A verifier of its own, and a million requests: one in two is good, one has an id that does not exist, and one is garbage. Then
 * every token is used, which is more than a company's tokens ever are within a minute.
 */
async function measureMemory({ stage, generator, tell }: Scene): Promise<Figures> {
  const verifier = await stage.startVerifier();
  const use = async (requests: readonly string[], count: number) => {
    await generator.send({ port: verifier.gatewayPort, requests, connections: CONNECTIONS, count });
    return readResidentMib(verifier.process.pid);
  };
  try {
    const good = verifyRequests(busyTokens(stage));
    const mix = () => badRequests(MEMORY_PART / 2).flatMap((bad, index) => [bad, good[index % good.length] ?? bad]);
    const sizes: number[] = [];
    while (sizes.length < MEMORY_PARTS) sizes.push(await use(mix(), MEMORY_PART));
    tell(`resident after each ${MEMORY_PART} requests: ${sizes.map(Math.round).join(", ")} MiB`);
    let allUsedMib = 0;
    for (let start = 0; start < stage.tokens.length; start += MEMORY_TOKENS) {
      allUsedMib = await use(verifyRequests(stage.tokens.slice(start, start + MEMORY_TOKENS)), MEMORY_TOKENS);
    }
    return {
      verifier_rss_mib: Math.round(Math.max(...sizes)),
      verifier_rss_growth_mib: Math.round((sizes.at(-1) ?? Number.NaN) - (sizes[0] ?? Number.NaN)),
      verifier_rss_all_used_mib: Math.round(allUsedMib),
    };
  } finally {
    await verifier.process.stop();
  }
}
