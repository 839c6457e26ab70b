/*
 * `npm run chart:docs`: writes the table of values into the chart's README. A test fails if the README is outdated.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { CHART, putValueRows, readValueRows } from "./values-table.ts";

const readme = new URL("README.md", CHART);
writeFileSync(readme, putValueRows(readFileSync(readme, "utf8"), readValueRows()));
