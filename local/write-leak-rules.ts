#!/usr/bin/env node
/*
 * Writes the rules for secret scanners: run by `npm run generate` for the prefix apt, and by an organisation for its own.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { defineCommand } from "../src/runtime/command/declare.ts";
import { runCommandLine } from "../src/runtime/command/run.ts";
import { listSetting, tokenPrefixSetting } from "../src/runtime/config.ts";
import { EXIT } from "../src/runtime/exit-codes.ts";
import { buildLeakRules } from "../src/token/leak-rules.ts";
import { DEFAULT_PREFIX } from "../src/token/token-string.ts";

const prefixesSetting = listSetting.pipe(z.tuple([tokenPrefixSetting], tokenPrefixSetting));

const command = defineCommand({
  name: "write-leak-rules",
  summary: "write the rules with which secret scanners find tokens",
  description:
    "Writes the rules with which secret scanners find the tokens of an installation: docs/leaks.md explains each file.",
  options: {
    prefix: {
      schema: prefixesSetting,
      valueName: "PREFIXES",
      default: DEFAULT_PREFIX,
      help: "the installation's APITOKEN_PREFIX; after a change both, separated by a comma",
    },
    folder: {
      schema: z.string().min(1, "must name a folder"),
      valueName: "FOLDER",
      default: fileURLToPath(new URL("../leak-rules/", import.meta.url)),
      help: "where to write the files",
    },
  },
  examples: ["write-leak-rules --prefix acme --folder acme-leak-rules"],
  async run({ options: { prefix, folder } }) {
    for (const [name, text] of Object.entries(buildLeakRules(prefix))) {
      const file = resolve(folder, name);
      mkdirSync(resolve(file, ".."), { recursive: true });
      writeFileSync(file, text);
    }
    return EXIT.done;
  },
});

await runCommandLine(command);
