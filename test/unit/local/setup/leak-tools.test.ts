import { existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { findLeakTools, leakToolFolders, provideLeakTools } from "../../../../local/setup/leak-tools.mjs";
import { putProgram, useSetUpHome } from "../../../support/set-up-home.ts";

const place = useSetUpHome();

beforeEach(() => {
  place.environment.PATH = join(place.home, "bin");
  putProgram(join(place.home, "bin/python3"));
});

const build = async (folder: string) => void putProgram(join(folder, "gitleaks"));
const install = async (_: string, requirements: URL, folder: string) => {
  if (basename(requirements.pathname) === "kingfisher.txt") putProgram(join(folder, "kingfisher/bin/kingfisher"));
  else mkdirSync(join(folder, "detect_secrets"));
};
const fails = (message: string) => () => Promise.reject(new Error(message));

test("missing scanners are built and installed once, and of kingfisher's package only the program is kept", async () => {
  await provideLeakTools({ environment: place.environment, build, install });
  const folders = leakToolFolders(place.environment);
  expect(findLeakTools(place.environment)).toEqual({
    gitleaks: join(folders.gitleaks, "gitleaks"),
    kingfisher: join(folders.kingfisher, "kingfisher"),
    detectSecrets: folders.detectSecrets,
    python: join(place.home, "bin/python3"),
  });
  expect(existsSync(join(folders.kingfisher, "packages"))).toBe(false);
  await provideLeakTools({ environment: place.environment, build: fails("again"), install: fails("again") });
  expect(place.said).toEqual([]);
});

test("without one of them the tests are skipped, except in CI", async () => {
  await provideLeakTools({ environment: place.environment, build: fails("Go is not installed"), install });
  expect(findLeakTools(place.environment)).toBeUndefined();
  expect(place.said.join("")).toContain(
    "could not get gitleaks: Go is not installed; the tests of scanners are skipped",
  );
  const inCi = provideLeakTools({ environment: { ...place.environment, CI: "true" }, build: fails("no Go"), install });
  await expect(inCi).rejects.toThrow("could not get gitleaks, which CI requires: no Go");
});
