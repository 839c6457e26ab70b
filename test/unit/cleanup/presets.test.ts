import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { cleanupCommand } from "../../../src/cleanup/command.ts";
import { parseConfigFile } from "../../../src/cleanup/config-file.ts";
import { PRESETS } from "../../../src/cleanup/target/presets.ts";
import { findCall } from "../../../src/runtime/command/parse.ts";

test.each([
  [["presets"], { kind: "run", argument: "" }],
  [["presets", "keycloak"], { kind: "run", argument: "keycloak" }],
  [["presets", "keycloak", "now"], { kind: "faults", faults: ['unexpected argument "now" after presets'] }],
])("the name is optional: %j", (args, call) => {
  expect(findCall(cleanupCommand, args)).toMatchObject(call);
});

test("the help shows that the name is optional", () => {
  expect(listPresets("--help").stdout).toContain("Usage: cleanup presets [NAME] [options]");
});

/** `cleanup presets` without any setting: it needs no database. */
function listPresets(...args: readonly string[]) {
  const program = fileURLToPath(new URL("../../../src/cleanup/main.ts", import.meta.url));
  return spawnSync(process.execPath, [program, "presets", ...args], { encoding: "utf8", env: {} });
}

test("the list has each preset with system, versions, tables and source", () => {
  const { stdout, status } = listPresets();
  expect(status).toBe(0);
  for (const { name, system, versions, sources } of PRESETS) {
    const line = stdout.split("\n").find((candidate) => candidate.startsWith(`${name} `));
    expect(line).toContain(versions);
    expect(line).toContain(sources[0]);
    expect(stdout).toContain(system.split(" ")[0]);
  }
  expect(stdout).toContain("public.offline_user_session");
});

test("as JSON it has the parameters and the targets, too", () => {
  const { presets } = JSON.parse(listPresets("-o", "json").stdout);
  expect(presets.map(({ name }: { name: string }) => name)).toEqual(PRESETS.map(({ name }) => name));
  const grafana = presets.find(({ name }: { name: string }) => name === "grafana");
  expect(grafana).toMatchObject({ tables: ["public.user_auth_token"], parameters: { idle: { default: "7d" } } });
  expect(grafana).toEqual(JSON.parse(listPresets("grafana", "-o", "json").stdout));
});

test.each(["keycloak", "identityserver", "synapse"])("what it prints of %s is a file that means the same", (name) => {
  const { stdout, status } = listPresets(name);
  expect(status).toBe(0);
  expect(parseConfigFile(stdout, "copied.yaml")).toEqual(parseConfigFile(`targets: [{ preset: ${name} }]`, "it.yaml"));
});

test("an unknown preset is refused, and the nearest one is suggested", () => {
  const { stderr, status } = listPresets("keyclok");
  expect(status).toBe(2);
  expect(stderr).toContain('"keyclok" is not a preset (did you mean keycloak?)');
});
