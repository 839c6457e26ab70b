/*
 * What every reason and error code means, and what to do about it: the text of docs/lifecycle.md and docs/errors.md.
 */
import { findNear } from "../../runtime/text.ts";
import entries from "./guide.json" with { type: "json" };

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

export const GUIDE: readonly GuideEntry[] = entries as readonly GuideEntry[];

/** All explanations of a name, whatever its case. */
export function explain(name: string): readonly GuideEntry[] {
  return GUIDE.filter((entry) => entry.name.toLowerCase() === name.toLowerCase());
}

/** The remedy for a reason of Ready; undefined for one that this release does not know. */
export function findRemedy(reason: string): string | undefined {
  return GUIDE.find(({ name, about }) => name === reason && about.includes("condition Ready"))?.remedy;
}

/** The name that a person who typed `name` probably meant. */
export function findNearName(name: string): string | undefined {
  return findNear(name, new Set(GUIDE.map((entry) => entry.name)));
}
