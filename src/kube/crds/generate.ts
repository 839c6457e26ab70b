/*
 * `npm run generate`: writes `crds/`, the chart's copy of them and `docs/api.md`. Tests fail when they differ from what this
 * would write.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { buildApiReference } from "./api-reference.ts";
import { buildCrds } from "./crd.ts";

const root = new URL("../../../", import.meta.url);
for (const [file, crd] of Object.entries(buildCrds())) {
  const text = stringify(crd, { lineWidth: 0, aliasDuplicateObjects: false });
  for (const folder of ["crds", "charts/apitoken-operator/files/crds"]) {
    writeFileSync(new URL(`${folder}/${file}`, root), text);
  }
}
const readExample = (file: string) => readFileSync(new URL(file, root), "utf8");
writeFileSync(new URL("docs/api.md", root), buildApiReference(readExample));
