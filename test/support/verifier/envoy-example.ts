/*
 * Starts the real Envoy with an example that users copy. Only addresses are replaced in it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePorts, startProcess, waitUntilReady } from "../../../local/processes.ts";

const EXAMPLES = new URL("../../../examples/verifier/", import.meta.url);

export interface RunningEnvoy {
  readonly url: string;
  /** Its access log, and whatever else it has printed. */
  log(): string;
  stop(): Promise<void>;
}

export interface EnvoyPorts {
  /** By the port that the example names. */
  readonly verifier: Readonly<Record<8181 | 8183, number>>;
  readonly app: number;
}

const START_MS = 30_000;

/** Starts Envoy with the example, or with what `edit` makes of it; resolves once it answers. */
export async function startEnvoy(
  program: string,
  example: string,
  { verifier, app }: EnvoyPorts,
  edit = (text: string) => text,
): Promise<RunningEnvoy> {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-envoy-"));
  const [port] = (await findFreePorts(1)) as [number];
  const addresses: readonly (readonly [string, number, number])[] = [
    ["0.0.0.0", 80, port],
    ["apitoken-verifier", 8181, verifier[8181]],
    ["apitoken-verifier", 8183, verifier[8183]],
    ["app", 8080, app],
  ];
  const text = addresses.reduce(
    (all, [host, from, to]) =>
      all.replaceAll(`address: ${host}, port_value: ${from} }`, `address: 127.0.0.1, port_value: ${to} }`),
    edit(readFileSync(new URL(example, EXAMPLES), "utf8")),
  );
  const file = join(folder, example);
  writeFileSync(file, text);
  const logPath = join(folder, "log");
  const args = ["-c", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"];
  const envoy = startProcess(program, args, { logPath });
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady("Envoy", envoy, async () => (await fetch(url)).status > 0, START_MS);
  return {
    url,
    log: () => readFileSync(logPath, "utf8"),
    async stop() {
      await envoy.stop("SIGKILL"); // on SIGTERM it waits for connections
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
