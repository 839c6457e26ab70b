/*
 * The documents' tables are compared with the code. This reads them as readers do: by heading, row and cell.
 */
import { readFileSync } from "node:fs";
import { parse } from "yaml";

/** The text of a file of the project. */
export function readProjectFile(file: string): string {
  return readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8");
}

/** The rows of the first table below a heading of a Markdown text, without its header; each row as its cells. */
export function readTable(text: string, heading: string): string[][] {
  const [, section] = text.split(`\n${heading}\n`);
  const lines = section?.split(/\n#+ /)[0]?.split("\n") ?? [];
  const first = lines.findIndex((line) => line.startsWith("|"));
  if (first === -1) throw new Error(`there is no table below "${heading}"`);
  const length = lines.slice(first).findIndex((line) => !line.startsWith("|"));
  return lines.slice(first + 2, first + length).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The texts in backticks in a cell. */
export function codeIn(cell: string | undefined): string[] {
  return [...(cell ?? "").matchAll(/`([^`]+)`/g)].map(([, code]) => code as string);
}

/** The contents of the YAML blocks of a Markdown text. Throws if one is not YAML, or has several documents. */
export function readYamlBlocks(text: string): Record<string, unknown>[] {
  return [...text.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, block]) => parse(block ?? ""));
}
