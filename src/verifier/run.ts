/*
 * The process around a verifier: settings, log, and an end within a limited time.
 */
import type { CommandContext } from "../runtime/command/declare.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { inventIdentity } from "../runtime/identity.ts";
import { createLogger } from "../runtime/log.ts";
import { giveBackMemory } from "../runtime/memory.ts";
import { exitOnUncaught } from "../runtime/program.ts";
import { keepTickShape } from "../runtime/shapes.ts";
import { whenAborted } from "../runtime/signals.ts";
import { VERSION } from "../runtime/version.ts";
import { readVerifierConfig } from "./config.ts";
import { startVerifier } from "./verifier.ts";

/** What does not end within this time after the requests have been drained is broken off. */
const STOP_LIMIT_MS = 5_000;

/** Runs the verifier until `stop`; returns its exit code. Logs and throws an error that no retry fixes. */
export async function runVerifier({ environment, stop }: CommandContext): Promise<number> {
  const config = readVerifierConfig(environment);
  const log = createLogger("verifier", config.logLevel);
  exitOnUncaught(log);
  keepTickShape();
  try {
    const identity = inventIdentity();
    const verifier = await startVerifier(config, identity, log);
    const { gatewayPort, introspectionPort, grpcPort, httpPort } = verifier;
    log.info({ version: VERSION, identity, gatewayPort, introspectionPort, grpcPort, httpPort }, "started");
    void verifier.ready.then(() => {
      giveBackMemory();
      log.info("ready: the tokens have been read");
    });
    await Promise.race([whenAborted(stop), verifier.finished]);
    setTimeout(() => process.exit(EXIT.failed), config.drainMs + STOP_LIMIT_MS).unref();
    await verifier.stop();
  } catch (error) {
    if (!stop.aborted) {
      log.error({ err: error }, "the verifier cannot continue");
      throw error;
    }
  }
  log.info("stopped");
  return EXIT.done;
}
