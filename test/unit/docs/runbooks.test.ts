/*
 * Somebody who is called at night searches the runbooks for the message that they see: it must be the program's own.
 */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { codeIn, readProjectFile, readTable } from "./tables.ts";

const SOURCES = readdirSync(new URL("../../../src/cleanup", import.meta.url), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => readProjectFile(`src/cleanup/${file}`))
  .join("\n");

test.each(["partitions", "obstructed"])(
  "the messages that the runbook cleanup-%s explains are the cleanup's",
  (name) => {
    const text = readProjectFile(`docs/runbooks/cleanup-${name}.md`);
    const rows = readTable(`\n${text}`, text.split("\n")[0] as string);
    const messages = rows.flatMap(([message]) => codeIn(message)).flatMap((message) => message.split(" … "));
    expect(messages.length).toBeGreaterThan(3);
    expect(messages.filter((message) => !SOURCES.includes(message))).toEqual([]);
  },
);
