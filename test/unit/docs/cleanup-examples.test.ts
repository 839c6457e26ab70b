import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { parseConfigFile } from "../../../src/cleanup/config-file.ts";
import { readProjectFile } from "./tables.ts";

const samples = readdirSync("docs")
  .filter((file) => file.startsWith("cleanup") && file.endsWith(".md"))
  .flatMap((file) =>
    [...readProjectFile(`docs/${file}`).matchAll(/^( *)```yaml\n([\s\S]*?)^ *```$/gm)].map(
      ([, indent = "", text = ""], place) => ({
        name: `${file}, sample ${place + 1}`,
        text: text.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
      }),
    ),
  )
  .filter(({ text }) => text.includes("targets:"));

test("the pages on the cleanup have samples", () => {
  expect(samples.length).toBeGreaterThan(15);
});

test.each(samples)("$name is a configuration that the cleanup accepts", ({ name, text }) => {
  expect(parseConfigFile(text, name).targets.length).toBeGreaterThan(0);
});
