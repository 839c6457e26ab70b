/*
 * Part of `npm run generate`: writes guide.json, the text of docs/lifecycle.md and docs/errors.md that `explain` prints without a
 * cluster. The documents are the source, so that a page and the plugin cannot say different things. A test compares them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { buildGuide } from "./build.ts";

const root = new URL("../../../", import.meta.url);
const read = (file: string) => readFileSync(new URL(file, root), "utf8");
const guide = buildGuide(read("docs/lifecycle.md"), read("docs/errors.md"));
writeFileSync(new URL("guide.json", import.meta.url), `${JSON.stringify(guide, null, 2)}\n`);
