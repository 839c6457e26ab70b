import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  findSpringBackend,
  provideSpringBackend,
  springBackendFolder,
} from "../../../../local/setup/spring-backend.mjs";
import { putProgram, useSetUpHome } from "../../../support/set-up-home.ts";

const place = useSetUpHome();

const build = async (folder: string) => writeFileSync(join(folder, "orders-backend.jar"), "");
const fails = (message: string) => () => Promise.reject(new Error(message));

/** A host with these programs. */
function install(...programs: readonly string[]): NodeJS.ProcessEnv {
  for (const program of programs) putProgram(join(place.home, "bin", program));
  return { ...place.environment, PATH: join(place.home, "bin") };
}

test("the example is built once", async () => {
  const environment = install("mvn", "java");
  await provideSpringBackend({ environment, build });
  const java = join(place.home, "bin/java");
  const jar = join(springBackendFolder(environment), "orders-backend.jar");
  expect(findSpringBackend(environment)).toEqual({ java, jar });
  expect(jar).toContain(place.home);
  await provideSpringBackend({ environment, build: fails("again") });
  expect(place.said).toEqual([]);
});

test("the Java of JAVA_HOME runs it, as it runs Maven", async () => {
  const environment = { ...install("mvn", "java"), JAVA_HOME: join(place.home, "jdk") };
  const java = putProgram(join(place.home, "jdk/bin/java"));
  await provideSpringBackend({ environment, build });
  expect(findSpringBackend(environment)?.java).toBe(java);
});

test.each([
  { programs: [], missing: "Maven and Java" },
  { programs: ["java"], missing: "Maven" },
  { programs: ["mvn"], missing: "Java" },
])("without $missing nothing is attempted, and the set-up says so", async ({ programs, missing }) => {
  const environment = { ...install(...programs), CI: "true" };
  await provideSpringBackend({ environment, build: fails("attempted") });
  expect(findSpringBackend(environment)).toBeUndefined();
  expect(place.said.join("")).toBe(
    `set-up: without ${missing}, the tests of the verifier's example for Spring are skipped\n`,
  );
});

test("a build that fails is reported with Maven's reason, and leaves nothing behind", async () => {
  const environment = install("mvn", "java");
  const failed = fails("mvn ended with exit code 1\n[ERROR] [ERROR] Some problems:\n[FATAL] no network\n[ERROR] more");
  await provideSpringBackend({ environment, build: failed });
  expect(place.said.join("")).toBe(
    "set-up: could not build the example for Spring: no network; its tests are skipped\n",
  );
  expect(existsSync(springBackendFolder(environment))).toBe(false);
});

test("CI fails if the build fails", async () => {
  const environment = { ...install("mvn", "java"), CI: "true" };
  await expect(provideSpringBackend({ environment, build: fails("no network") })).rejects.toThrow(
    "which CI requires: no network",
  );
});
