/*
 * Gateways that are made of Envoy ask over gRPC for each request, so the gRPC port is measured against the empty server that it could
 * be at best.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { findFreePorts } from "../../local/processes.ts";
import { CHECK_PATH, writeCheckRequest } from "../support/verifier/check-client.ts";
import { type Figures, inTurn, median } from "./figures.ts";
import { readImageCommand } from "./image.ts";
import type { GrpcLoad, GrpcLoadResult } from "./load/grpc-generator.ts";
import { startVerifyStage } from "./verify-stage.ts";

const TOKENS = 1_000;
const ROUNDS = 5;
const ROUND_SECONDS = 3;
/** As for /verify: on two cores that are both in use, Node needs that long until it has compiled what is used most. */
const WARM_UP_SECONDS = 15;
const LOAD = { path: CHECK_PATH, connections: 4, calls: 16 };

/** An answer with the status OK, and an ok_response. */
const OK = "0a001a";

/** What Envoy sends about a request of a browser. */
const HEADERS = [
  ...[":authority", "shop.example.com", ":method", "GET", ":scheme", "https", "accept", "*/*"],
  ...["user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
  ...["accept-encoding", "gzip, deflate, br", "accept-language", "en-GB,en;q=0.5", "x-forwarded-proto", "https"],
  ...["x-forwarded-for", "203.0.113.5", "x-envoy-external-address", "203.0.113.5"],
  ...["cookie", `session=${"0123456789abcdef".repeat(4)}`],
];

/** Calls per second of Check with good tokens, over those of the empty server. */
export async function benchGrpc(tell: (text: string) => void): Promise<Figures> {
  const stage = await startVerifyStage(TOKENS);
  const [port] = (await findFreePorts(1)) as [number];
  const verifier = await stage.startVerifier({ APITOKEN_VERIFIER_GRPC_PORT: String(port) });
  const bare = startProgram("grpc-bare.ts", readImageCommand("verifier").nodeOptions);
  const generator = startProgram("grpc-generator.ts");
  const messages = stage.tokens.map(({ plaintext }) =>
    writeCheckRequest({
      headers: [...HEADERS, "authorization", `Bearer ${plaintext}`],
      isRaw: true,
      context: { scope: "read" },
      peer: "203.0.113.5",
    }).toString("base64"),
  );
  const send = async (load: Pick<GrpcLoad, "port" | "seconds">): Promise<GrpcLoadResult> => {
    generator.send({ ...LOAD, ...load, messages });
    const [result] = (await once(generator, "message")) as [GrpcLoadResult];
    if (result.others > 0) throw new Error(`${result.others} answers were not like the first`);
    return result;
  };
  const sendGood = async (seconds: number): Promise<GrpcLoadResult> => {
    const result = await send({ port, seconds });
    if (result.beginning !== OK) throw new Error(`the answers begin with ${result.beginning}, so they are refusals`);
    return result;
  };
  try {
    const [barePort] = (await once(bare, "message")) as [number];
    await sendGood(WARM_UP_SECONDS);
    await send({ port: barePort, seconds: WARM_UP_SECONDS });
    const { ours, theirs } = await inTurn(
      ROUNDS,
      () => sendGood(ROUND_SECONDS),
      () => send({ port: barePort, seconds: ROUND_SECONDS }),
    );
    const rate = (those: readonly GrpcLoadResult[]) => median(those.map(({ perSecond }) => perSecond));
    const busy = Math.max(...theirs.map((result) => result.busy));
    tell(`${rate(ours).toFixed(0)} calls a second, bare ${rate(theirs).toFixed(0)}`);
    tell(`the generator used ${busy.toFixed(2)} of a core`);
    return { grpc_per_second: Math.round(rate(ours)), grpc_over_bare: rate(ours) / rate(theirs) };
  } finally {
    generator.disconnect();
    bare.disconnect();
    await verifier.process.stop();
    await stage.stop();
  }
}

function startProgram(file: string, execArgv: readonly string[] = []): ChildProcess {
  return fork(fileURLToPath(new URL(`load/${file}`, import.meta.url)), { execArgv: [...execArgv] });
}
