import { readFileSync, writeFileSync } from "node:fs";
import { CHART, putValueRows, readValueRows } from "./values-table.ts";

/** Writes the table of values into the chart's README: `npm run chart:docs`. A test fails when it differs. */
const readme = new URL("README.md", CHART);
writeFileSync(readme, putValueRows(readFileSync(readme, "utf8"), readValueRows()));
