import { readFileSync, writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { buildApiReference } from "./api-reference.ts";
import { buildCrds } from "./crd.ts";

/** Writes `crds/` and `docs/api.md`: `npm run generate`. A test fails when the files differ from what this writes. */
const root = new URL("../../../", import.meta.url);
for (const [file, crd] of Object.entries(buildCrds())) {
  writeFileSync(new URL(`crds/${file}`, root), stringify(crd, { lineWidth: 0, aliasDuplicateObjects: false }));
}
const readExample = (file: string) => readFileSync(new URL(file, root), "utf8");
writeFileSync(new URL("docs/api.md", root), buildApiReference(readExample));
