/*
 * People copy the TypeScript of the guides into their backends: it must compile against the sources that it imports.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readProjectFile } from "./tables.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const GUIDES = [
  "README.md",
  ...readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
];

interface Block {
  /** Where the block begins, such as `docs/consumers.md:280`. */
  readonly place: string;
  /** The block, below as many empty lines as there are above it in the guide: the compiler's line numbers are the guide's. */
  readonly source: string;
}

function readBlocks(guide: string, text: string): Block[] {
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ 1: block = "", index }) => {
    const line = text.slice(0, index).split("\n").length;
    return { place: `${guide}:${line}`, source: "\n".repeat(line) + block };
  });
}

/** The compiler's complaints about the blocks, as if they were modules in the root of the project. */
function compile(blocks: readonly Block[]): string {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-docs-"));
  try {
    for (const { place, source } of blocks) writeFileSync(join(folder, `${place.replaceAll("/", "_")}.mts`), source);
    const compilerOptions = { rootDirs: [ROOT, folder], typeRoots: [join(ROOT, "node_modules/@types")] };
    const project = { extends: join(ROOT, "tsconfig.json"), compilerOptions, include: ["*.mts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project));
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [join(ROOT, "node_modules/typescript/bin/tsc"), "--pretty", "false", "-p", folder],
      { encoding: "utf8", cwd: folder },
    );
    return stdout + stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the TypeScript in the guides compiles", { timeout: 30_000 }, () => {
  const blocks = GUIDES.flatMap((guide) => readBlocks(guide, readProjectFile(guide)));
  expect(blocks.map(({ place }) => place.split(":")[0])).toContain("docs/verifier.md");
  expect(compile(blocks)).toBe("");
});

test("a mistake in a block is reported with the guide's line", { timeout: 30_000 }, () => {
  const text =
    'Text.\n\n```ts\nimport { openDatabase } from "./src/postgres/database.ts";\n\nopenDatabase("url");\n```\n';
  expect(compile(readBlocks("guide.md", text))).toMatch(/^guide\.md:3\.mts\(6,14\): error TS2345/);
});
