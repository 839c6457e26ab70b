/*
 * Poolers that drop what a session sets are a common cause of faults that nobody understands, so the tests use a real one.
 */
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import pg from "pg";
import { findFreePorts, startProcess, waitUntilReady } from "../../local/processes.ts";

/** The program, from the folder that PGBOUNCER names or from the PATH; Debian's package installs it in /usr/sbin. */
export const pgbouncer = [process.env.PGBOUNCER ?? "", ...folders().map((folder) => join(folder, "pgbouncer"))].find(
  (path) => path !== "" && existsSync(path),
);

function folders(): string[] {
  return [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
}

const NOBODY = 65_534;

/** Starts PgBouncer before a server, and logs in there as the superuser of `url`, whoever connects. Returns the URL of `url` through it. */
export async function startPgBouncer(
  url: string,
  poolMode: "session" | "transaction" | "statement",
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  if (pgbouncer === undefined) throw new Error("PgBouncer is not installed");
  const folder = mkdtempSync(join(tmpdir(), "apitoken-pgbouncer-"));
  const [port] = (await findFreePorts(1)) as [number];
  const server = new URL(url);
  const config = join(folder, "pgbouncer.ini");
  writeFileSync(
    config,
    `[databases]
* = host=${server.hostname} port=${server.port} user=${server.username} password=${server.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${poolMode}
default_pool_size = 40
max_client_conn = 200
`,
    { mode: 0o600 },
  );
  const isRoot = process.getuid?.() === 0; // PgBouncer refuses to run as root
  if (isRoot) for (const path of [folder, config]) chownSync(path, NOBODY, NOBODY);
  const bouncer = startProcess(pgbouncer, [config], {
    logPath: join(folder, "pgbouncer.log"),
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  const address = new URL(url);
  address.port = String(port);
  await waitUntilReady("pgbouncer", bouncer, () => accepts(address.href), 10_000);
  return {
    url: address.href,
    async stop() {
      await bouncer.stop("SIGINT");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function accepts(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  await client.query("select 1");
  await client.end();
  return true;
}
