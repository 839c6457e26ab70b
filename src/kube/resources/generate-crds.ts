import { writeFileSync } from "node:fs";
import { stringify } from "yaml";
import { buildApiTokenCrd } from "./crd.ts";

/** Writes `crds/`: `npm run crds`. A test fails when the files differ from what this writes. */
const folder = new URL("../../../crds/", import.meta.url);
writeFileSync(new URL("apitokens.yaml", folder), stringify(buildApiTokenCrd(), { lineWidth: 0 }));
