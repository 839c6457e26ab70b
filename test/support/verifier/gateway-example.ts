/*
 * Starts a real gateway with the configuration that users copy. Only addresses are replaced in it.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { findFreePorts, startProcess, waitUntilReady } from "../../../local/processes.ts";

const EXAMPLES = new URL("../../../examples/verifier/", import.meta.url);

export interface GatewayExample {
  readonly name: string;
  /** The program; undefined if it is not installed. */
  readonly program: string | undefined;
  /** Below examples/verifier; the program is started with the first. */
  readonly files: readonly string[];
  /** Where the example says that the gateway listens, and how it would say so for a port of the loopback interface. */
  readonly listens: readonly [text: string, replacement: (port: number) => string];
  readonly args: (file: string, folder: string) => readonly string[];
}

const inPrefix = (file: string, folder: string) => [
  ...["-p", folder, "-c", file, "-e", "stderr"],
  ...["-g", "daemon off; pid nginx.pid;"],
];

/** nginx, in the version that `program` is. */
export const nginxExample = (name: string, program: string | undefined): GatewayExample => ({
  name,
  program,
  files: ["nginx.conf"],
  listens: ["listen 80;", (port) => `listen 127.0.0.1:${port};`],
  args: inPrefix,
});

export const traefikExample = (program: string | undefined): GatewayExample => ({
  name: "Traefik",
  program,
  files: ["traefik/traefik.yaml", "traefik/routes.yaml"],
  listens: ['address: ":80"', (port) => `address: "127.0.0.1:${port}"`],
  args: (file) => [`--configFile=${file}`],
});

export const caddyExample = (program: string | undefined): GatewayExample => ({
  name: "Caddy",
  program,
  files: ["Caddyfile"],
  listens: ["\n:80 {", (port) => `\n:${port} {\n\tbind 127.0.0.1`],
  args: (file) => ["run", "--adapter", "caddyfile", "--config", file],
});

export interface RunningGateway {
  readonly url: string;
  stop(): Promise<void>;
}

const START_MS = 20_000;

/** Starts the gateway; resolves once its routes are there. */
export async function startGateway(
  { name, program, files, listens, args }: GatewayExample,
  ports: { readonly verifier: number; readonly app: number },
): Promise<RunningGateway> {
  if (program === undefined) throw new Error(`${name} is not installed`);
  const folder = mkdtempSync(join(tmpdir(), "apitoken-gateway-"));
  const [port] = (await findFreePorts(1)) as [number];
  chmodSync(folder, 0o755); // if this is root, nginx has workers that are not
  const replacements = [
    [listens[0], listens[1](port)],
    ["apitoken-verifier:8181", `127.0.0.1:${ports.verifier}`],
    ["app:8080", `127.0.0.1:${ports.app}`],
    ["/etc/traefik/", `${folder}/`],
  ] as const;
  for (const file of files) {
    const text = readFileSync(new URL(file, EXAMPLES), "utf8");
    const changed = replacements.reduce((all, [from, to]) => all.replaceAll(from, to), text);
    writeFileSync(join(folder, basename(file)), changed);
  }
  const gateway = startProcess(program, args(join(folder, basename(files[0] ?? "")), folder), {
    logPath: join(folder, "log"),
    env: { ...process.env, CADDY_ADMIN: `unix/${folder}/admin.sock`, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady(name, gateway, async () => (await fetch(url)).status !== 404, START_MS);
  return {
    url,
    async stop() {
      await gateway.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
