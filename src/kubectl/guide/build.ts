/*
 * Takes the explanations of reasons and error codes out of the tables of the documents.
 */

/** One explanation. The same name may have several: a reason may belong to more than one condition. */
export interface GuideEntry {
  readonly name: string;
  /** What has the name, such as "reason of an Event on an ApiToken". */
  readonly about: string;
  readonly condition?: string;
  readonly status?: string;
  readonly cause: string;
  readonly remedy?: string;
  /** What other columns the document has, by their titles. */
  readonly more?: Readonly<Record<string, string>>;
}

/** A table of a document: where it is, what its rows are about, and the column with the name. */
interface Source {
  readonly heading: string;
  readonly about: string;
  readonly name: string;
}

const LIFECYCLE: readonly Source[] = [
  { heading: "## Reasons of Ready", about: "reason of the condition Ready of an ApiToken", name: "reason" },
  {
    heading: "## Reasons of the other conditions",
    about: "reason of a condition of an ApiToken",
    name: "reason",
  },
  { heading: "## Events", about: "reason of an Event on an ApiToken", name: "reason" },
  { heading: "## ApiTokenPolicies", about: "reason of a condition of an ApiTokenPolicy", name: "reason" },
  { heading: "## OwnerBlocks", about: "reason of a condition of an OwnerBlock", name: "reason" },
  { heading: "## Why a token ended", about: "why a token ended", name: "reason" },
  { heading: "## Why a token was issued", about: "why a token was issued", name: "cause" },
];

const ERRORS = { about: "error code of a program", name: "code" };

/** Columns that every explanation has, under the names that it has for them. */
const COLUMNS: Readonly<Record<string, "cause" | "remedy" | "status" | "condition">> = {
  cause: "cause",
  meaning: "cause",
  remedy: "remedy",
  "what to do": "remedy",
  Ready: "status",
  condition: "condition",
};

/** All explanations, in the order of the documents. */
export function buildGuide(lifecycle: string, errors: string): GuideEntry[] {
  const reasons = LIFECYCLE.flatMap((source) => readSection(lifecycle, source));
  const codes = errors
    .split(/^## /m)
    .slice(1)
    .flatMap((section) => readRows(section, ERRORS));
  return [...reasons, ...codes];
}

function readSection(text: string, source: Source): GuideEntry[] {
  const [, section] = text.split(`\n${source.heading}\n`);
  if (section === undefined) throw new Error(`there is no heading "${source.heading}"`);
  return readRows(section.split(/\n## /)[0] ?? "", source);
}

function readRows(section: string, { about, name }: Omit<Source, "heading">): GuideEntry[] {
  const lines = section.split("\n");
  const first = lines.findIndex((line) => line.startsWith("|"));
  if (first === -1) return [];
  const titles = readCells(lines[first] ?? "").map(toPlainText);
  const length = lines.slice(first).findIndex((line) => !line.startsWith("|"));
  const end = length === -1 ? lines.length : first + length;
  return lines.slice(first + 2, end).flatMap((line) => {
    const cells = Object.fromEntries(readCells(line).map((cell, index) => [titles[index] ?? "", cell]));
    return namesIn(cells[name] ?? "").map((entry) => describe(entry, about, name, cells));
  });
}

function describe(name: string, about: string, nameColumn: string, cells: Readonly<Record<string, string>>) {
  const known: Record<string, string> = {};
  const more: Record<string, string> = {};
  for (const [title, cell] of Object.entries(cells)) {
    if (title === nameColumn) continue;
    const column = COLUMNS[title];
    if (column === undefined) more[title] = toPlainText(cell);
    else known[column] = toPlainText(cell);
  }
  return { name, about, cause: "", ...known, ...(Object.keys(more).length === 0 ? {} : { more }) };
}

function readCells(line: string): string[] {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);
}

/** A terminal shows no links, and needs no marks around code. */
function toPlainText(markdown: string): string {
  return markdown
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/(?<!\\)`/g, "")
    .replaceAll("\\|", "|");
}
