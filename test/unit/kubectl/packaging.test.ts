/*
 * What is packed for npm and krew, without publishing it. The bundles are made once for the file.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { readProjectFile } from "../docs/tables.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "apitoken-packaging-"));
const { version } = JSON.parse(readProjectFile("package.json"));
const URL_OF_RELEASE = "https://example.com/platform/apitoken/releases/download/v1";

beforeAll(() => {
  const bundles = join(folder, "bundles");
  execFileSync(process.execPath, ["build.mjs", bundles], { cwd: ROOT });
  // A stand-in for the executables, which each platform has to make for itself.
  const executable = join(ROOT, "LICENSE");
  const platforms = ["linux-amd64", "windows-arm64"].map((platform) => `${platform}=${executable}`);
  execFileSync(process.execPath, ["packaging/kubectl/pack.mjs", bundles, folder, URL_OF_RELEASE, ...platforms], {
    cwd: ROOT,
  });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the npm package has both executables, each one file of less than 2 MB that runs alone", () => {
  const { bin, dependencies } = JSON.parse(readFileSync(join(folder, "npm/package.json"), "utf8"));
  expect(Object.keys(bin)).toEqual(["kubectl-apitoken", "kubectl_complete-apitoken"]);
  expect(dependencies).toBeUndefined();
  for (const file of Object.values<string>(bin)) {
    const { size, mode } = statSync(join(folder, "npm", file));
    expect(size).toBeLessThan(2_000_000);
    expect(mode & 0o111).toBe(0o111);
  }
  // npm links the executables: a link is what runs.
  const link = join(folder, "kubectl-apitoken");
  symlinkSync(join(folder, "npm", bin["kubectl-apitoken"]), link);
  const run = (...args: string[]) => spawnSync(process.execPath, [link, ...args], { encoding: "utf8", env: {} });
  expect(run("version", "--client")).toMatchObject({ status: 0, stdout: `plugin  ${version}\n` });
  expect(run("explain", "Issued").stdout).toContain("The Secret holds the first token.");
  expect(run("__complete", "explain", "Iss").stdout).toBe("Issued\n:4\n");
});

test("the bundles run where the next package.json says that scripts are ES modules, as in this project", () => {
  writeFileSync(join(folder, "bundles/package.json"), '{ "type": "module" }');
  const run = (file: string, ...args: string[]) =>
    spawnSync(process.execPath, [join(folder, "bundles", file), ...args], { encoding: "utf8", env: {} });
  expect(run("kubectl-apitoken.cjs", "version", "--client")).toMatchObject({ status: 0, stderr: "" });
  expect(run("kubectl_complete-apitoken.cjs", "explain", "Iss").stdout).toBe("Issued\n:4\n");
});

test("the krew manifest names each archive with its checksum, and each has the executable", () => {
  const manifest = parse(readFileSync(join(folder, "apitoken.yaml"), "utf8"));
  expect(manifest).toMatchObject({ kind: "Plugin", metadata: { name: "apitoken" }, spec: { version: `v${version}` } });
  expect(manifest.spec.platforms.map(({ bin }: { bin: string }) => bin)).toEqual([
    "kubectl-apitoken",
    "kubectl-apitoken.exe",
  ]);
  for (const { uri, sha256, bin, files } of manifest.spec.platforms) {
    const file = join(folder, uri.slice(URL_OF_RELEASE.length + 1));
    expect(createHash("sha256").update(readFileSync(file)).digest("hex")).toBe(sha256);
    const listed = execFileSync("tar", ["-tzf", file], { encoding: "utf8" }).trim().split("\n");
    expect(listed).toEqual(files.map(({ from }: { from: string }) => from));
    expect(listed).toContain(bin);
  }
});
