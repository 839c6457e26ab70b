import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { findLeakTools, leakToolFolders, provideLeakTools } from "../../../../local/setup/leak-tools.mjs";

let home: string;
let environment: NodeJS.ProcessEnv;
let said: string[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "apitoken-set-up-"));
  environment = { XDG_CACHE_HOME: home, PATH: join(home, "bin") };
  put(join(home, "bin/python3"));
  said = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(home, { recursive: true, force: true });
});

function put(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "#!/bin/sh\n");
  chmodSync(path, 0o755);
}

const build = async (folder: string) => put(join(folder, "gitleaks"));
const install = async (_: string, requirements: URL, folder: string) => {
  if (basename(requirements.pathname) === "kingfisher.txt") put(join(folder, "kingfisher/bin/kingfisher"));
  else mkdirSync(join(folder, "detect_secrets"));
};
const fails = (message: string) => () => Promise.reject(new Error(message));

test("missing scanners are built and installed once, and of kingfisher's package only the program is kept", async () => {
  await provideLeakTools({ environment, build, install });
  const folders = leakToolFolders(environment);
  expect(findLeakTools(environment)).toEqual({
    gitleaks: join(folders.gitleaks, "gitleaks"),
    kingfisher: join(folders.kingfisher, "kingfisher"),
    detectSecrets: folders.detectSecrets,
    python: join(home, "bin/python3"),
  });
  expect(existsSync(join(folders.kingfisher, "packages"))).toBe(false);
  await provideLeakTools({ environment, build: fails("again"), install: fails("again") });
  expect(said).toEqual([]);
});

test("without one of them the tests are skipped, except in CI", async () => {
  await provideLeakTools({ environment, build: fails("Go is not installed"), install });
  expect(findLeakTools(environment)).toBeUndefined();
  expect(said.join("")).toContain("could not get gitleaks: Go is not installed; the tests of scanners are skipped");
  const inCi = provideLeakTools({ environment: { ...environment, CI: "true" }, build: fails("no Go"), install });
  await expect(inCi).rejects.toThrow("could not get gitleaks, which CI requires: no Go");
});
