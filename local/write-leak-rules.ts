/*
 * Writes the rules for secret scanners: run by `npm run generate`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { buildLeakRules } from "../src/token/leak-rules.ts";

const folder = new URL("../leak-rules/", import.meta.url);
for (const [name, text] of Object.entries(buildLeakRules())) {
  const file = new URL(name, folder);
  mkdirSync(new URL("./", file), { recursive: true });
  writeFileSync(file, text);
}
