import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const SRC = new URL("../../src/", import.meta.url).pathname;

test("no source file has more than 250 lines", () => {
  const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  expect(files.length).toBeGreaterThan(100);
  const lines = (file: string) => readFileSync(join(SRC, file), "utf8").split("\n").length - 1;
  expect(files.filter((file) => lines(file) > 250)).toEqual([]);
});

test("the controller's folder can be taken in at a glance: no more than 15 entries", () => {
  expect(readdirSync(join(SRC, "controller")).length).toBeLessThanOrEqual(15);
});
