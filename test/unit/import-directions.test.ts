import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "apitoken-imports-"));
for (const file of ["biome.json", ".gitignore"]) cpSync(join(ROOT, file), join(folder, file));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the lint says of a file that imports this; empty when it is allowed. */
function lint(path: string, specifier: string): string {
  mkdirSync(join(folder, dirname(path)), { recursive: true });
  writeFileSync(join(folder, path), `import { thing } from "${specifier}";\n\nexport const kept = thing;\n`);
  const biome = join(ROOT, "node_modules/.bin/biome");
  const result = spawnSync(biome, ["lint", "--error-on-warnings", path], { cwd: folder, encoding: "utf8" });
  rmSync(join(folder, path));
  return result.status === 0 ? "" : result.stdout + result.stderr;
}

test.each([
  ["src/token/a.ts", "../kube/transport.ts"],
  ["src/token/a.ts", "../postgres/tokens.ts"],
  ["src/token/a.ts", "../runtime/log.ts"],
  ["src/token/a.ts", "node:fs"],
  ["src/token/plan/a.ts", "../../kube/transport.ts"],
  ["src/token/plan/a.ts", "../../postgres/tokens.ts"],
  ["src/token/a.ts", "zod"],
  ["src/runtime/a.ts", "../kube/transport.ts"],
  ["src/runtime/a.ts", "../postgres/tokens.ts"],
  ["src/kube/a.ts", "../postgres/tokens.ts"],
  ["src/kube/resources/a.ts", "../../postgres/tokens.ts"],
  ["src/kube/a.ts", "pg"],
  ["src/postgres/a.ts", "../kube/transport.ts"],
  ["src/postgres/a.ts", "@kubernetes/client-node"],
  ["src/postgres/a.ts", "undici"],
  ["src/controller/a.ts", "pg"],
  ["src/controller/a.ts", "@kubernetes/client-node"],
  ["src/controller/a.ts", "../cleanup/main.ts"],
  ["src/cleanup/a.ts", "../kube/transport.ts"],
  ["src/cleanup/a.ts", "../controller/main.ts"],
  ["src/cleanup/a.ts", "pg"],
])("%s must not import %s", (path, specifier) => {
  expect(lint(path, specifier)).toContain("noRestrictedImports");
});

test.each([
  ["src/token/a.ts", "./lifetime.ts"],
  ["src/token/a.ts", "./plan/action.ts"],
  ["src/token/plan/a.ts", "../lifetime.ts"],
  ["src/token/plan/a.ts", "./action.ts"],
  ["src/token/a.ts", "node:crypto"],
  ["src/kube/resources/a.ts", "../../token/model.ts"],
  ["src/kube/a.ts", "undici"],
  ["src/postgres/a.ts", "pg"],
  ["src/controller/a.ts", "../kube/transport.ts"],
  ["src/controller/a.ts", "../postgres/tokens.ts"],
  ["src/cleanup/a.ts", "../postgres/tokens.ts"],
])("%s may import %s", (path, specifier) => {
  expect(lint(path, specifier)).toBe("");
});
