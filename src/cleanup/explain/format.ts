/*
 * What `cleanup explain` shows to a person.
 */
import type { TrailEntry } from "../../postgres/cleanup/row.ts";
import { createPaint, type Style } from "../../runtime/terminal.ts";
import { stripControls } from "../../runtime/text.ts";
import { inUtc, type RowState, type Verdict } from "./verdict.ts";

/** What is known about a row. `--output json` prints exactly this object. */
export interface Explanation {
  readonly table: string;
  /** As it was asked for. */
  readonly key: string;
  readonly isFound: boolean;
  /** What it is to each target of the table; empty if there is no such row. */
  readonly targets: readonly (Verdict & { readonly name: string })[];
  /** When runs have deleted a row with this key, as far as the audit trail has keys. */
  readonly cleaned: readonly TrailEntry[];
  /** What the audit trail can know about this table. */
  readonly trail: string;
}

const STYLES: Readonly<Partial<Record<RowState, Style>>> = { due: "red", held: "yellow", live: "green" };

/** The text for people. */
export function formatExplanation(explanation: Explanation, useColours: boolean): string {
  const { table, key, isFound, targets, cleaned, trail } = explanation;
  const paint = createPaint(useColours);
  const lines = [
    paint("bold", stripControls(`${table} ${key}`)),
    ...(isFound ? [] : ["  there is no such row"]),
    ...targets.flatMap(({ name, state, because, goes }) => [
      `  ${name === table ? "" : `target ${stripControls(name)}: `}${paint(STYLES[state] ?? "bold", state)}`,
      ...because.map((clause) => `    ${stripControls(clause)}`),
      `    ${goes}`,
    ]),
    ...cleaned.map(
      ({ cleanedAt, run, reason }) =>
        `  the audit trail: run ${run} deleted a row with this key at ${inUtc(cleanedAt)}, because it was ${reason.toLowerCase()}`,
    ),
    ...(cleaned.length === 0 && !isFound ? [`  the audit trail knows no such key; ${trail}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}
