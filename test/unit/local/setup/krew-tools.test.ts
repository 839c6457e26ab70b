import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findKrewTools, provideKrewTools } from "../../../../local/setup/krew-tools.mjs";
import { useSetUpHome } from "../../../support/set-up-home.ts";

const place = useSetUpHome();

const build = async (folder: string) => {
  for (const name of ["krew", "validate-krew-manifest"]) {
    writeFileSync(join(folder, name), "#!/bin/sh\n");
    chmodSync(join(folder, name), 0o755);
  }
};
const fails = (message: string) => () => Promise.reject(new Error(message));

test("krew and its validator are built once", async () => {
  await provideKrewTools({ environment: place.environment, build });
  expect(findKrewTools(place.environment)).toMatchObject({ krew: expect.stringMatching(/krew$/) });
  await provideKrewTools({ environment: place.environment, build: fails("again") });
  expect(place.said).toEqual([]);
});

test("without Go the test of the manifest is skipped, except in CI", async () => {
  await provideKrewTools({ environment: place.environment, build: fails("Go is not installed") });
  expect(findKrewTools(place.environment)).toBeUndefined();
  expect(place.said.join("")).toContain("could not get krew: Go is not installed");
  const inCi = provideKrewTools({
    environment: { ...place.environment, CI: "true" },
    build: fails("Go is not installed"),
  });
  await expect(inCi).rejects.toThrow("which CI requires: Go is not installed");
});
