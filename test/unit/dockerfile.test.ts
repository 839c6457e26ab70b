import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/* What can be said of the images without building them. */

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const lines = (path: string) => read(path).split("\n");

/** The files that are copied from the sources, not from another stage. */
const copied = lines("Dockerfile")
  .filter((line) => /^COPY (?!--from)/.test(line))
  .flatMap((line) => line.split(/\s+/).slice(1, -1));

test("what the images are built from is let through by .dockerignore, and nothing else", () => {
  const [everything, ...exceptions] = lines(".dockerignore").filter((line) => line !== "");
  expect(everything).toBe("*");
  expect(exceptions.map((line) => line.replace(/^!/, "")).sort()).toEqual([...copied].sort());
});

test("what the build imports is copied into the image", () => {
  const imported = [...read("build.mjs").matchAll(/from "\.\/([\w-]+\.mjs)"/g)].map(([, file]) => file);
  expect(imported.length).toBeGreaterThan(0);
  expect(copied).toEqual(expect.arrayContaining(imported));
});
