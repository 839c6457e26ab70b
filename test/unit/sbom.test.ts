import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askNpm, BUNDLES, describeImage, type Metafile, type Sbom, type Target } from "../../sbom.ts";
import { readProjectFile } from "./docs/tables.ts";

/* What is said to be in an image is what is in its bundles. */

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "apitoken-build-"));
let metafile: Metafile;
let ofNpm: Sbom;

beforeAll(() => {
  execFileSync(process.execPath, ["build.mjs", folder], { cwd: ROOT });
  metafile = JSON.parse(readFileSync(join(folder, "metafile.json"), "utf8"));
  ofNpm = askNpm();
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const namesIn = (target: Target) => describeImage(target, metafile, ofNpm).components.map(({ name }) => name);

test.each<[Target, string[], string[]]>([
  ["controller", ["@kubernetes/client-node", "undici", "pg", "bcryptjs", "prom-client", "node"], ["vitest"]],
  ["cleanup", ["pg", "yaml", "pino", "node"], ["@kubernetes/client-node", "undici", "bcryptjs", "esbuild"]],
  ["verifier", ["pg", "bcryptjs", "prom-client", "node"], ["@kubernetes/client-node", "undici", "node-cron"]],
  ["migrate", ["pg", "node-pg-migrate", "node"], ["@kubernetes/client-node", "undici", "prom-client"]],
])("the image %s has %j, and not %j", (target, those, notThose) => {
  const names = namesIn(target);
  expect(those.filter((name) => !names.includes(name))).toEqual([]);
  expect(notThose.filter((name) => names.includes(name))).toEqual([]);
});

test("versions match the lockfile, and Node's matches the Dockerfile", () => {
  const lock = JSON.parse(readProjectFile("package-lock.json")).packages;
  const { components } = describeImage("controller", metafile, ofNpm);
  const versionOf = (wanted: string) => components.find(({ name }) => name === wanted)?.version;
  for (const name of ["pg", "undici", "pino"]) expect(versionOf(name)).toBe(lock[`node_modules/${name}`].version);
  expect(readProjectFile("Dockerfile")).toContain(`FROM node:${versionOf("node")}-`);
});

describe.each(Object.keys(BUNDLES) as Target[])("the SBOM of %s", (target) => {
  test("refers only to components that it lists", () => {
    const { metadata, components, dependencies } = describeImage(target, metafile, ofNpm);
    const refs = components.map((component) => component["bom-ref"]);
    expect(metadata.component).toMatchObject({ name: `apitoken-operator-${target}`, "bom-ref": expect.any(String) });
    expect(dependencies.map(({ ref }) => ref).sort()).toEqual([...refs, metadata.component["bom-ref"]].sort());
    expect(dependencies.flatMap(({ dependsOn = [] }) => dependsOn).filter((ref) => !refs.includes(ref))).toEqual([]);
  });

  test("is reproducible", () => {
    expect(describeImage(target, metafile, askNpm())).toEqual(describeImage(target, metafile, ofNpm));
  });

  test("has the bundles that the Dockerfile copies into it", () => {
    const stage = readProjectFile("Dockerfile")
      .split(/^(?=FROM )/m)
      .find((text) => text.includes(` AS ${target}\n`));
    const copied = [...(stage ?? "").matchAll(/dist\/([\w-]+\.c?js)/g)].map(([, file]) => file);
    expect(copied).toEqual(BUNDLES[target]);
  });
});
