/*
 * The process around a controller: settings, log, exit code and, above all, an end. Kubernetes kills a pod that stops
 * too slowly, and a leader that is killed keeps the next one waiting for its Lease, so everything here has a time
 * limit.
 */
import type { CommandContext } from "../runtime/command/declare.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { inventIdentity } from "../runtime/identity.ts";
import { createLogger, type Logger } from "../runtime/log.ts";
import { exitOnUncaught } from "../runtime/program.ts";
import { keepTickShape } from "../runtime/shapes.ts";
import { unlessAborted, whenAborted, whenEnded } from "../runtime/signals.ts";
import { createTokenHasher } from "../runtime/token-hash.ts";
import { VERSION } from "../runtime/version.ts";
import { type ControllerConfig, readControllerConfig } from "./config.ts";
import { startController } from "./controller.ts";
import { connect } from "./startup.ts";

/** Exits after this long even if something hangs, so that the next leader does not have to wait for a killed pod. */
const STOP_LIMIT_MS = 9_500;

/** Connections that do not close within this time are abandoned. */
const CLOSE_MS = 1_000;

/** Runs the controller until `stop`; returns its exit code. Logs and throws an error that no retry fixes. */
export async function runController(context: CommandContext<{ readonly migrate: boolean }>): Promise<number> {
  const { options, environment, stop } = context;
  const config = readControllerConfig(environment);
  const log = createLogger("controller", config.logLevel);
  exitOnUncaught(log);
  keepTickShape();
  try {
    stop.throwIfAborted();
    if (options.migrate) {
      // The library for it takes memory, which most controllers never need.
      const { migrate } = await import("../postgres/migrations.ts");
      log.info({ migrations: await unlessAborted(migrate(config.databaseLogin), stop) }, "schema is up to date");
    }
    await serve(config, log, stop);
  } catch (error) {
    if (!stop.aborted) {
      log.error({ err: error }, "the controller cannot continue");
      throw error;
    }
  }
  log.info("stopped");
  return EXIT.done;
}

/** Resolves after `stop`, or rejects with an error that no retry fixes. By then everything has ended. */
async function serve(config: ControllerConfig, log: Logger, stop: AbortSignal): Promise<void> {
  const identity = config.identity ?? inventIdentity();
  const { transport, db, close } = await connect(config, identity, log);
  try {
    const controller = await startController({ config, transport, db, hasher: createTokenHasher(), identity, log });
    log.info({ version: VERSION, identity, port: controller.port }, "started");
    void whenAborted(stop).then(() => {
      void controller.stop();
      setTimeout(() => process.exit(EXIT.failed), STOP_LIMIT_MS).unref();
    });
    await controller.finished;
  } finally {
    await whenEnded(close(), CLOSE_MS);
  }
}
