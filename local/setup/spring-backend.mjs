/*
 * The verifier's example for Spring, built with Maven. It is optional on a developer's machine, where its tests are skipped; in CI it
 * must exist if Maven and Java are installed.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder, findOnPath, isExecutable } from "./assets.mjs";
import { fillFolder } from "./control-plane.mjs";
import { print, run, startProgress } from "./progress.mjs";

const EXAMPLE = fileURLToPath(new URL("../../examples/verifier/spring/", import.meta.url));
const JAR = "orders-backend.jar";

const hasJar = (folder) => existsSync(join(folder, JAR));

/** The cache folder of the program. Each version of the example has its own. */
export function springBackendFolder(environment = process.env) {
  const hash = createHash("sha256").update(readFileSync(join(EXAMPLE, "pom.xml")));
  const entries = readdirSync(join(EXAMPLE, "src"), { recursive: true, encoding: "utf8" }).sort();
  const paths = entries.map((entry) => join(EXAMPLE, "src", entry));
  for (const path of paths.filter((path) => statSync(path).isFile())) hash.update(readFileSync(path));
  return join(cacheFolder(environment), "spring-backend", hash.digest("hex").slice(0, 16));
}

/** JAVA_HOME counts first, as it does for Maven. */
function findJava(environment) {
  const path = environment.JAVA_HOME && join(environment.JAVA_HOME, "bin/java");
  return path && isExecutable(path) ? path : findOnPath("java", environment);
}

/**
 * The Java with which the example runs, and its program; undefined if one is missing.
 * @returns {{java: string, jar: string} | undefined}
 */
export function findSpringBackend(environment = process.env) {
  const java = findJava(environment);
  const folder = springBackendFolder(environment);
  return java !== undefined && hasJar(folder) ? { java, jar: join(folder, JAR) } : undefined;
}

/** Builds it if it is missing. A failure is printed; in CI it is an error. */
export async function provideSpringBackend({ environment = process.env, build = buildWithMaven } = {}) {
  if (findSpringBackend(environment) !== undefined) return;
  const missing = [
    ...(findOnPath("mvn", environment) === undefined ? ["Maven"] : []),
    ...(findJava(environment) === undefined ? ["Java"] : []),
  ];
  if (missing.length > 0) {
    print(`without ${missing.join(" and ")}, the tests of the verifier's example for Spring are skipped`);
    return;
  }
  try {
    await fillFolder(springBackendFolder(environment), (folder) => build(folder, environment), {
      isComplete: hasJar,
      parts: `the program ${JAR}`,
    });
  } catch (error) {
    if (environment.CI === "true")
      throw new Error(`could not build the example for Spring, which CI requires: ${error.message}`);
    // Before it, Maven has warnings, and lines that only announce it.
    const reason = /^\[(?:ERROR|FATAL)\] (?!\[)(.+)$/m.exec(error.message)?.[1] ?? error.message.split("\n")[0];
    print(`could not build the example for Spring: ${reason}; its tests are skipped`);
  }
}

/** Builds a copy, so that nothing is written into the checkout. */
async function buildWithMaven(folder, environment) {
  const progress = startProgress("building the example for Spring with Maven (a minute, once)");
  const copy = join(folder, "copy");
  try {
    mkdirSync(copy);
    for (const part of ["pom.xml", "src"]) cpSync(join(EXAMPLE, part), join(copy, part), { recursive: true });
    const repository = join(cacheFolder(environment), "maven");
    const options = ["--batch-mode", "--quiet", "--strict-checksums", `-Dmaven.repo.local=${repository}`];
    await run("mvn", [...options, "package"], { cwd: copy, env: environment });
    renameSync(join(copy, "target", JAR), join(folder, JAR));
    rmSync(copy, { recursive: true });
    progress.end("done");
  } catch (error) {
    progress.end("failed");
    throw error;
  }
}
