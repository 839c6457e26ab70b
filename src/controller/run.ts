import { migrate } from "../postgres/migrations.ts";
import { createLogger, type Logger } from "../runtime/log.ts";
import { EXIT_DONE, EXIT_FAILED, exitOnUncaught } from "../runtime/program.ts";
import { unlessAborted, whenAborted, whenEnded } from "../runtime/signals.ts";
import { VERSION } from "../runtime/version.ts";
import { type ControllerConfig, readControllerConfig } from "./config.ts";
import { connect, inventIdentity } from "./connections.ts";
import { startController } from "./controller.ts";

/** Kubernetes kills a pod that was asked to stop; whatever hangs must not keep the next leader waiting so long. */
const STOP_LIMIT_MS = 9_500;

/** Connections that hang are left behind. */
const CLOSE_MS = 1_000;

/** Runs the controller until `stop`; returns its exit code. Throws, having logged it, what no retry mends. */
export async function run(options: {
  mustMigrate: boolean;
  environment: NodeJS.ProcessEnv;
  stop: AbortSignal;
}): Promise<number> {
  const { mustMigrate, environment, stop } = options;
  const config = readControllerConfig(environment);
  const log = createLogger("controller", config.logLevel);
  exitOnUncaught(log);
  try {
    stop.throwIfAborted();
    if (mustMigrate) {
      log.info({ migrations: await unlessAborted(migrate(config.databaseLogin), stop) }, "schema is up to date");
    }
    await serve(config, log, stop);
  } catch (error) {
    if (!stop.aborted) {
      log.error({ err: error }, "the controller cannot go on");
      throw error;
    }
  }
  log.info("stopped");
  return EXIT_DONE;
}

/** Resolves after `stop`, and rejects with what no retry mends, once everything has ended. */
async function serve(config: ControllerConfig, log: Logger, stop: AbortSignal): Promise<void> {
  const identity = config.identity ?? inventIdentity();
  const { transport, db, close } = await connect(config, identity, log);
  try {
    const controller = await startController({ config, transport, db, identity, log });
    log.info({ version: VERSION, identity, port: controller.port }, "started");
    void whenAborted(stop).then(() => {
      void controller.stop();
      setTimeout(() => process.exit(EXIT_FAILED), STOP_LIMIT_MS).unref();
    });
    await controller.finished;
  } finally {
    await whenEnded(close(), CLOSE_MS);
  }
}
