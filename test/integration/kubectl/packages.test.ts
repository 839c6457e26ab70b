/*
 * The single executable as the release workflow makes it, and its krew manifest: krew's own validator accepts it, krew installs the
 * plugin by it, and kubectl runs what was installed.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { findKrewTools } from "../../../local/setup/krew-tools.mjs";
import manifest from "../../../package.json" with { type: "json" };

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "apitoken-krew-"));
const executable = join(folder, "kubectl-apitoken.exe");
const packages = join(folder, "packages");

/** This platform, as Go calls it. */
const PLATFORM = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;

const tools = findKrewTools();
if (tools === undefined) {
  const remedy = 'run "node local/setup.mjs --krew" (it needs Go)';
  if (process.env.CI === "true") throw new Error(`krew is missing; ${remedy}`);
  process.stderr.write(`The krew manifest is not tested: krew is missing; ${remedy}\n`);
}

const pack = (...args: string[]) =>
  execFileSync(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "ignore"] });

beforeAll(() => {
  const bundles = join(folder, "bundles");
  const url = "https://example.com/platform/apitoken/releases/download/v1";
  pack("packaging/kubectl/executable.mjs", executable);
  pack("build.mjs", bundles);
  pack("packaging/kubectl/pack.mjs", bundles, packages, url, `${PLATFORM}=${executable}`);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the executable runs without Node and without anything beside it", () => {
  const run = (...args: string[]) => execFileSync(executable, args, { encoding: "utf8", cwd: folder, env: {} });
  expect(run("version", "--client")).toBe(`plugin  ${manifest.version}\n`);
  expect(run("explain", "Issued")).toContain("The Secret holds the first token.");
  expect(run("__complete", "explain", "Iss")).toBe("Issued\n:4\n");
});

test.skipIf(tools === undefined)("krew accepts the manifest, and installs the plugin by it", () => {
  const { krew, validator } = tools ?? { krew: "", validator: "" };
  const file = join(packages, "apitoken.yaml");
  const root = join(folder, "krew");
  const { kubectlPath } = inject("servers");
  const env = {
    PATH: [join(root, "bin"), dirname(kubectlPath), process.env.PATH].join(delimiter),
    HOME: folder,
    KREW_ROOT: root,
    KREW_NO_UPGRADE_CHECK: "1",
  };
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"] });
  // It would also install from the address in the manifest, where a release is only later.
  run(validator, `--manifest=${file}`, "--skip-install");
  const archive = join(packages, `kubectl-apitoken-v${manifest.version}-${PLATFORM}.tar.gz`);
  run(krew, "install", `--manifest=${file}`, `--archive=${archive}`);
  expect(run(kubectlPath, "apitoken", "version", "--client")).toBe(`plugin  ${manifest.version}\n`);
});
