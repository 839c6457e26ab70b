import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { cleanupCommand } from "../../../src/cleanup/command.ts";
import { cleanupEnvironment } from "../../../src/cleanup/settings.ts";
import { controllerCommand } from "../../../src/controller/command.ts";
import { controllerEnvironment } from "../../../src/controller/config.ts";
import { formatHelp } from "../../../src/runtime/command/help.ts";
import { DEFAULT_DENIED_KEYS } from "../../../src/token/denied-keys.ts";
import { parseDuration } from "../../../src/token/duration.ts";
import { verifierCommand } from "../../../src/verifier/command.ts";
import { verifierEnvironment } from "../../../src/verifier/config.ts";
import { codeIn, readProjectFile, readTable } from "./tables.ts";

const settings = readProjectFile("docs/settings.md");
const shared = readTable(settings, "## All programs");
/** What has no default. */
const REQUIRED = { DATABASE_URL: "postgres://login:secret@db/tokens", APITOKEN_KEYRING_FILE: "/keyring.json" };

const PROGRAMS = [
  ["controller", controllerEnvironment, formatHelp(["controller"], controllerCommand, 80)],
  ["cleanup", cleanupEnvironment, formatHelp(["cleanup"], cleanupCommand, 80)],
  ["verifier", verifierEnvironment, formatHelp(["verifier"], verifierCommand, 80)],
] as const;

const filesBelow = (folder: string, extension: string) =>
  readdirSync(new URL(`../../../${folder}`, import.meta.url), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(extension))
    .map((file) => `${folder}/${file}`);

const namesIn = (text: string) => text.match(/\bAPITOKEN_[A-Z_]*[A-Z]\b/g) ?? [];

/** The next number, hundredth or duration (in milliseconds) above or below. */
function moveBy(text: string, step: number): string {
  if (text.includes(".")) return String(Number(text) + step / 100);
  return /^\d+$/.test(text) ? String(Number(text) + step) : `${parseDuration(text) + step}ms`;
}

describe.each(PROGRAMS)("the settings of %s in docs/settings.md", (program, schema, help) => {
  const rows = [...shared, ...readTable(settings, `## \`${program}\``)];

  test("are those that the code reads", () => {
    expect(rows.map(([name]) => codeIn(name)[0]).sort()).toEqual(Object.keys(schema.shape).sort());
  });

  test("have the code's defaults", () => {
    const told = rows.flatMap(([name, value]) =>
      codeIn(value).map((text) => [codeIn(name)[0] as string, text] as const),
    );
    const ofCode = schema.parse(REQUIRED);
    const withoutDefault = new Set([
      ...Object.keys(REQUIRED),
      "APITOKEN_WATCH_NAMESPACES",
      "APITOKEN_VERIFIER_TRUSTED_PROXIES",
      "APITOKEN_VERIFIER_POD_NETWORKS",
      "APITOKEN_VERIFIER_AUDIENCES",
    ]);
    const isTold = ([name, value]: [string, unknown]) => value !== undefined && !withoutDefault.has(name);
    // The default from the table, read as a setting, has the same meaning.
    expect(told.map(([name]) => name).sort()).toEqual(
      Object.entries(ofCode)
        .filter(isTold)
        .map(([name]) => name)
        .sort(),
    );
    expect(schema.parse({ ...REQUIRED, ...Object.fromEntries(told) })).toEqual(ofCode);
  });

  test.each(rows.filter(([, , bounds]) => / to [0-9]/.test(bounds ?? "") && !/letters/.test(bounds ?? "")))(
    "have the code's bounds: %s, %s, %s",
    (name, _value, bounds = "") => {
      const setting = z.object({ value: (schema.shape as Record<string, z.ZodType>)[codeIn(name)[0] as string] });
      const accepts = (value: string) => setting.safeParse({ value }).success;
      const [from = "", to = ""] = bounds.split(" to ");
      expect([from, to].map(accepts)).toEqual([true, true]);
      expect([moveBy(from, -1), moveBy(to, 1)].map(accepts)).toEqual([false, false]);
    },
  );

  test.each(rows.filter(([, , bounds]) => codeIn(bounds).length > 1 && !/letters/.test(bounds ?? "")))(
    "have the code's choices: %s, %s, %s",
    (name, _value, bounds) => {
      const setting = (schema.shape as Record<string, z.ZodType>)[codeIn(name)[0] as string];
      const isUrl = codeIn(name)[0]?.endsWith("_URL");
      for (const value of codeIn(bounds)) {
        expect(setting?.safeParse(isUrl ? value.replace("…", "host") : value).success, value).toBe(true);
      }
      expect(setting?.safeParse("anything else").success).toBe(false);
    },
  );

  test("are all in its --help", () => {
    for (const name of Object.keys(schema.shape)) expect(help, name).toContain(`\n  ${name} `);
  });
});

test("the list of denied keys in docs/settings.md is that of the code", () => {
  const [, list = ""] = /```text\n([^`]*)```/.exec(settings) ?? [];
  expect(list.trim().split(/,\s+/)).toEqual(DEFAULT_DENIED_KEYS);
});

test("no text for users names a setting that the code does not read", () => {
  const known = PROGRAMS.flatMap(([, schema]) => Object.keys(schema.shape));
  const files = ["README.md", ...filesBelow("docs", ".md"), ...filesBelow("src", ".ts")];
  for (const file of files) {
    expect(
      namesIn(readProjectFile(file)).filter((name) => !known.includes(name) && !name.startsWith("APITOKEN_E_")),
      file,
    ).toEqual([]);
  }
});
