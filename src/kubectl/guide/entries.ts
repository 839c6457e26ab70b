/*
 * The explanations, read from the documents that have them, so that a page and the plugin cannot say different things. A bundle has
 * no documents beside it: bundle-options.mjs runs this module when it builds one, and puts the result in its place.
 */
import { readFileSync } from "node:fs";
import { buildGuide } from "./build.ts";

const read = (file: string) => readFileSync(new URL(`../../../docs/${file}`, import.meta.url), "utf8");

export const ENTRIES = buildGuide(read("lifecycle.md"), read("errors.md"));
