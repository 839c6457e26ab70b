import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { FAULT_CODES } from "../../../src/runtime/fault.ts";
import { readProjectFile } from "./tables.ts";

/* docs/errors.md explains every error code that the programs have, and no other. */

const text = readProjectFile("docs/errors.md");
const rows = [...text.matchAll(/^\| `(APITOKEN_E_\w+)` \| (.*) \| (.*) \|$/gm)].map(([, code, cause, remedy]) => ({
  code,
  cause,
  remedy,
}));

test("each code is documented once, in the order of the code, and each documented code exists", () => {
  expect(rows.map(({ code }) => code)).toEqual([...FAULT_CODES]);
});

test.each(rows)("$code has a cause and a remedy, in whole sentences", ({ cause, remedy }) => {
  expect(cause).toMatch(/^[A-Z`].{20,}\.$/);
  expect(remedy).toMatch(/^[A-Z0-9`].{10,}\.$/);
});

test("each code is used by the sources, and the texts name no code that does not exist", () => {
  const files = readdirSync(new URL("../../../src", import.meta.url), { recursive: true, encoding: "utf8" });
  const sources = files
    .filter((file) => file.endsWith(".ts") && file !== "runtime/fault.ts")
    .map((file) => readProjectFile(`src/${file}`))
    .join("\n");
  const fault = readProjectFile("src/runtime/fault.ts").split("] as const")[1] ?? "";
  const used = new Set(`${sources}\n${fault}`.match(/APITOKEN_E_\w+/g));
  expect([...used].sort()).toEqual([...FAULT_CODES].sort());
});
