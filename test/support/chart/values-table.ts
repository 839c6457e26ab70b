/*
 * The table of values in the chart's README is generated from values.yaml, so that a default or a comment that changes
 * there cannot stay wrong in the README.
 */
import { readFileSync } from "node:fs";
import { isMap, isPair, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml";

/** The chart's folder. */
export const CHART = new URL("../../../charts/apitoken-operator/", import.meta.url);

/** The markers around the table in the chart's README. */
const BEGIN = "<!-- values: written by npm run chart:docs -->\n";
const END = "<!-- end of values -->";

/** One line of the table: a value that a user can set. */
export interface ValueRow {
  /** Such as `controller.lease.name`. */
  readonly path: string;
  /** As JSON. */
  readonly byDefault: string;
  /** The comment after "# --" in values.yaml; may be empty. */
  readonly meaning: string;
}

/** Maps without fixed keys. Each is shown as one value. */
const WHOLE = new Set(["resources", "spec", "labels"]);

/** All values of values.yaml, in its order. */
export function readValueRows(text = readFileSync(new URL("values.yaml", CHART), "utf8")): ValueRow[] {
  const document = parseDocument(text);
  if (!isMap(document.contents)) throw new Error("values.yaml is not a map");
  return readMap(document.contents as YAMLMap, []);
}

function readMap(map: YAMLMap, above: readonly string[]): ValueRow[] {
  return map.items.flatMap((pair) => {
    if (!isPair(pair) || !isScalar(pair.key))
      throw new Error(`values.yaml has a key that is not a scalar below ${above.join(".")}`);
    const name = String(pair.key.value);
    const path = [...above, name];
    const { value } = pair as Pair;
    if (isMap(value) && value.items.length > 0 && !WHOLE.has(name)) {
      return readMap(value as YAMLMap, path);
    }
    return [
      { path: path.join("."), byDefault: JSON.stringify(toJson(value)), meaning: readMeaning(pair.key, map, pair) },
    ];
  });
}

function toJson(value: unknown): unknown {
  return (value as { toJSON(): unknown }).toJSON();
}

/** The line "# -- …" right above the key. The parser keeps the first key's comment with the map. */
function readMeaning(key: { commentBefore?: string | null }, map: YAMLMap, pair: unknown): string {
  const comment = key.commentBefore ?? (map.items[0] === pair ? map.commentBefore : undefined) ?? "";
  const lines = comment.split("\n").filter((line) => line.startsWith(" -- "));
  return lines.at(-1)?.slice(4) ?? "";
}

/** Formats the table for the README. */
export function formatValueRows(rows: readonly ValueRow[]): string {
  const escapeBars = (text: string) => text.replaceAll("|", "\\|");
  const lines = rows.map(
    ({ path, byDefault, meaning }) =>
      `| \`${path}\` | ${byDefault === '""' ? "" : `\`${escapeBars(byDefault)}\``} | ${escapeBars(meaning)} |`,
  );
  return ["| value | default | meaning |", "|---|---|---|", ...lines, ""].join("\n");
}

/** Returns the README with these rows as its table. Throws an Error if the README lacks the markers. */
export function putValueRows(readme: string, rows: readonly ValueRow[]): string {
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from === -1 || to < from) throw new Error(`the chart's README lacks "${BEGIN.trim()}" or "${END}"`);
  return readme.slice(0, from + BEGIN.length) + formatValueRows(rows) + readme.slice(to);
}
