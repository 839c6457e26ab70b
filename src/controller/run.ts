import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { createTransport } from "../kube/transport.ts";
import { openDatabase } from "../postgres/database.ts";
import { migrate } from "../postgres/migrations.ts";
import { readEnvironment } from "../runtime/config.ts";
import { createLogger } from "../runtime/log.ts";
import { EXIT_DONE, EXIT_FAILED, exitOnUncaught } from "../runtime/program.ts";
import { VERSION } from "../runtime/version.ts";
import { controllerEnvironment } from "./config.ts";
import { startController } from "./controller.ts";

/** Kubernetes kills a pod that was asked to stop; whatever hangs must not keep the next leader waiting so long. */
const STOP_LIMIT_MS = 9_500;

/** Runs the controller until `stop`; returns its exit code. */
export async function run(options: {
  mustMigrate: boolean;
  environment: NodeJS.ProcessEnv;
  stop: AbortSignal;
}): Promise<number> {
  const config = readEnvironment(controllerEnvironment, options.environment);
  const log = createLogger("controller", config.APITOKEN_LOG_LEVEL);
  exitOnUncaught(log);
  if (options.mustMigrate) log.info({ migrations: await migrate(config.DATABASE_URL) }, "schema is up to date");

  const identity = config.APITOKEN_IDENTITY ?? `${hostname().slice(0, 50)}-${randomBytes(4).toString("hex")}`;
  const transport = await createTransport({
    userAgent: `apitoken-controller/${VERSION} (${identity})`,
    ...(config.KUBECONFIG === undefined ? {} : { kubeconfigPath: config.KUBECONFIG }),
    requestTimeoutMs: Math.min(config.APITOKEN_LEASE_RENEW_DEADLINE * 0.8, 10_000),
  });
  const db = openDatabase({
    url: config.DATABASE_URL,
    role: "apitoken_controller",
    actor: `controller/${identity}`,
    maxConnections: config.APITOKEN_DATABASE_CONNECTIONS,
    onIdleError: (error) => log.debug({ err: error }, "idle database connection lost"),
  });

  const controller = await startController({ config, transport, db, identity, log });
  log.info({ version: VERSION, identity, port: controller.port }, "started");
  options.stop.addEventListener("abort", () => {
    void controller.stop();
    setTimeout(() => process.exit(EXIT_FAILED), STOP_LIMIT_MS).unref();
  });
  try {
    await controller.finished;
    return EXIT_DONE;
  } finally {
    await Promise.allSettled([transport.close(), db.close()]);
    log.info("stopped");
  }
}
