/*
 * The rules of import-rules.json, tried: what each folder of src may import, and that everything else is refused.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, matchesGlob, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CONFIGURATION = ["biome.json", "import-rules.json", ".gitignore"];

interface Override {
  readonly includes: readonly string[];
  readonly linter: {
    rules: { style: { noRestrictedImports: { options: { patterns: [{ group: string[] }]; paths?: object } } } };
  };
}

const { overrides } = JSON.parse(readFileSync(join(ROOT, "import-rules.json"), "utf8")) as { overrides: Override[] };

/** What each folder may import, by the rule that is for it. */
const allowed = new Map(
  overrides.slice(1).map(({ includes: [glob = ""], linter }) => {
    const [, ...group] = linter.rules.style.noRestrictedImports.options.patterns[0].group;
    return [posix.dirname(glob), group.map((pattern) => pattern.replace(/^!/, ""))];
  }),
);

/** Packages from which a folder may import only some names, as "folder package". */
const restricted = new Set(
  overrides.flatMap(({ includes: [glob = ""], linter }) =>
    Object.keys(linter.rules.style.noRestrictedImports.options.paths ?? {}).map(
      (path) => `${posix.dirname(glob)} ${path}`,
    ),
  ),
);

const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => `src/${file}`);
const folders = [...new Set(sources.map((file) => posix.dirname(file)))].sort();

const packages = Object.keys(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).dependencies);

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** Lints these files under the project's configuration; returns the rules that each file breaks. */
function lint(files: Readonly<Record<string, string>>): Map<string, string[]> {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-imports-"));
  made.push(folder);
  for (const file of CONFIGURATION) cpSync(join(ROOT, file), join(folder, file));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const biome = join(ROOT, "node_modules/.bin/biome");
  const { stdout } = spawnSync(biome, ["lint", "--reporter=json", "--max-diagnostics=none"], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const found = new Map(Object.keys(files).map((file): [string, string[]] => [file, []]));
  for (const { category, location } of JSON.parse(stdout).diagnostics) {
    found.get(typeof location.path === "string" ? location.path : location.path.file)?.push(category);
  }
  return found;
}

const importing = (specifier: string) => `import { thing } from "${specifier}";\n\nexport const kept = thing;\n`;

const REFUSED = "lint/style/noRestrictedImports";

test("every folder of src has its own rule, and no rule is for a folder that is gone", () => {
  expect([...allowed.keys()].sort()).toEqual(folders);
});

test("each folder may import just what its rule lists", () => {
  const cases = folders.flatMap((folder) => {
    const others = folders.map((other) => {
      const path = posix.relative(folder, `${other}/thing.ts`);
      return path.startsWith(".") ? path : `./${path}`;
    });
    return [...others, ...packages, "node:fs", "node:net"].map((specifier, index) => ({
      file: `${folder}/case-${index}.ts`,
      specifier,
      isAllowed:
        !restricted.has(`${folder} ${specifier}`) &&
        (allowed.get(folder)?.some((pattern) => matchesGlob(specifier, pattern)) ?? false),
    }));
  });
  const found = lint(Object.fromEntries(cases.map(({ file, specifier }) => [file, importing(specifier)])));
  const wrong = cases.filter(({ file, isAllowed }) => found.get(file)?.includes(REFUSED) === isAllowed);
  expect(wrong).toEqual([]);
  expect(cases.filter(({ isAllowed }) => !isAllowed).length).toBeGreaterThan(200);
}, 180_000); // thousands of files are linted

const FORBIDDEN: readonly [file: string, specifier: string][] = [
  ["src/token/a.ts", "../kube/transport.ts"],
  ["src/token/a.ts", "../postgres/tokens.ts"],
  ["src/token/a.ts", "../runtime/log.ts"],
  ["src/token/a.ts", "node:fs"],
  ["src/token/a.ts", "node:net"],
  ["src/token/a.ts", "zod"],
  ["src/token/plan/a.ts", "../../postgres/tokens.ts"],
  ["src/runtime/a.ts", "../kube/transport.ts"],
  ["src/runtime/a.ts", "../postgres/tokens.ts"],
  ["src/runtime/a.ts", "pg"],
  ["src/kube/a.ts", "../postgres/tokens.ts"],
  ["src/kube/a.ts", "../controller/config.ts"],
  ["src/kube/a.ts", "pg"],
  ["src/kube/resources/a.ts", "../../postgres/tokens.ts"],
  ["src/postgres/a.ts", "../kube/transport.ts"],
  ["src/postgres/a.ts", "./cleanup/batches.ts"],
  ["src/postgres/a.ts", "@kubernetes/client-node"],
  ["src/postgres/a.ts", "undici"],
  ["src/postgres/cleanup/a.ts", "pg"],
  ["src/controller/a.ts", "pg"],
  ["src/controller/a.ts", "@kubernetes/client-node"],
  ["src/controller/a.ts", "../cleanup/main.ts"],
  ["src/controller/a.ts", "../kube/crds/crd.ts"],
  ["src/controller/pass/a.ts", "../leader/term.ts"],
  ["src/controller/pass/a.ts", "../config.ts"],
  ["src/controller/metrics/a.ts", "../leader/leader.ts"],
  ["src/controller/leader/a.ts", "../doctor/doctor.ts"],
  ["src/controller/doctor/a.ts", "../uninstall/uninstall.ts"],
  ["src/verifier/a.ts", "../kube/transport.ts"],
  ["src/verifier/a.ts", "../postgres/cleanup/batches.ts"],
  ["src/verifier/a.ts", "../controller/config.ts"],
  ["src/verifier/a.ts", "pg"],
  ["src/verifier/faces/a.ts", "../../postgres/tokens.ts"],
  ["src/verifier/faces/a.ts", "node:http"],
  ["src/verifier/memory/a.ts", "../server/gateway.ts"],
  ["src/verifier/server/a.ts", "../memory/memory.ts"],
  ["src/verifier/limits/a.ts", "../../postgres/tokens.ts"],
  ["src/verifier/break-glass/a.ts", "../../postgres/tokens.ts"],
  ["src/cleanup/a.ts", "../kube/transport.ts"],
  ["src/cleanup/a.ts", "../controller/main.ts"],
  ["src/cleanup/a.ts", "pg"],
  ["src/kubectl/a.ts", "../kube/transport.ts"],
  ["src/controller/new-room/a.ts", "../queue/queue.ts"],
  ["src/postgres/a.ts", "./../kube/transport.ts"],
];

test.each(FORBIDDEN)("%s must not import %s", (file, specifier) => {
  expect(lint({ [file]: importing(specifier) }).get(file)).toContain(REFUSED);
});

test.each([
  ["import type", 'import type { Thing } from "../kube/transport.ts";\n\nexport type Kept = Thing;\n'],
  ["export from", 'export { thing } from "../kube/transport.ts";\n'],
  ["a dynamic import", 'export const load = () => import("../kube/transport.ts");\n'],
])("%s is an import, too", (_, text) => {
  expect(lint({ "src/postgres/a.ts": text }).get("src/postgres/a.ts")).toContain(REFUSED);
});

test.each([
  [
    "of values",
    'import { b } from "./b.ts";\n\nexport const a = () => b;\n',
    'import { a } from "./a.ts";\n\nexport const b = () => a;\n',
  ],
  [
    "of types",
    'import type { B } from "./b.ts";\n\nexport type A = { b: B };\n',
    'import type { A } from "./a.ts";\n\nexport type B = { a: A };\n',
  ],
])("a circle %s is refused", (_, a, b) => {
  const found = lint({ "src/token/a.ts": a, "src/token/b.ts": b });
  expect(found.get("src/token/a.ts")).toContain("lint/suspicious/noImportCycles");
});
