/*
 * What every reason and error code means, and what to do about it: the text of docs/lifecycle.md and docs/errors.md.
 */
import { findNear } from "../../runtime/text.ts";
import type { GuideEntry } from "./build.ts";
import { ENTRIES } from "./entries.ts";

export const GUIDE: readonly GuideEntry[] = ENTRIES;

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
