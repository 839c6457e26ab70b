import { writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { buildCrds } from "./crd.ts";

/** Writes `crds/`: `npm run crds`. A test fails when the files differ from what this writes. */
const folder = new URL("../../../crds/", import.meta.url);
for (const [file, crd] of Object.entries(buildCrds())) {
  writeFileSync(new URL(file, folder), stringify(crd, { lineWidth: 0, aliasDuplicateObjects: false }));
}
