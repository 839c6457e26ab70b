/*
 * The command line of `controller keys`.
 */
import { COLOR_OPTION, defineCommand, OUTPUT_OPTION } from "../../runtime/command/declare.ts";
import { databaseEnvironment, durationSetting, oneOf } from "../../runtime/config.ts";
import { KEY_KINDS } from "../../token/key-status.ts";
import { keyringEnvironment } from "../config.ts";

const withDatabase = databaseEnvironment.extend(keyringEnvironment.shape);

const status = defineCommand({
  name: "status",
  summary: "list the keys, and which of them can be removed",
  description: `Lists each key with its state, how many rows of accepted tokens need it, and whether it can be removed.

    On a terminal the list is a table, elsewhere one line per key.`,
  options: { output: OUTPUT_OPTION, color: COLOR_OPTION },
  settings: withDatabase,
  examples: ["controller keys status -o json"],
  exitCodes: { failed: "failed, or rows need a key that the keyring lacks" },
  run: async (context) => (await import("./run.ts")).showKeys(context),
});

const rotate = defineCommand({
  name: "rotate",
  summary: "add new keys, which take over after a delay",
  description: `Adds a new pepper and a new encryption key, or one of them. New keys take over after --active-in. By then every program
    must have read the keyring again: a program that lacks a key refuses the tokens made with it. Controllers need no restart.

    Controllers then encrypt metadata again in the background. An old pepper is needed until the last token made with it
    has ended.`,
  options: {
    kind: { schema: oneOf(KEY_KINDS), valueName: "KIND", help: "add only a key of this kind: pepper or encryption" },
    "active-in": {
      schema: durationSetting,
      valueName: "DURATION",
      default: "2m",
      help: "how long until the new keys take over",
    },
  },
  settings: keyringEnvironment,
  examples: ["controller keys rotate --active-in 10m"],
  run: async (context) => (await import("./run.ts")).rotateKeys(context),
});

const remove = defineCommand({
  name: "remove",
  summary: "remove an old key that nothing needs",
  description:
    "Removes an old key from the keyring. Refuses to remove a key that is in use or that rows of accepted tokens need.",
  argument: { name: "ID", help: 'the key, as "controller keys status" lists it' },
  settings: withDatabase,
  examples: ["controller keys remove p-0a4e77b1"],
  exitCodes: { refused: "refused: the key is still needed" },
  run: async (context) => (await import("./run.ts")).removeOldKey(context),
});

export const keysCommand = defineCommand({
  name: "keys",
  summary: "show, rotate and remove the keys of the keyring",
  description: `Shows and changes the keyring: the peppers that tokens are hashed with, and the keys that encrypt their metadata.
    The key for the pseudonyms of erased owners is shown, too; it is never rotated.`,
  commands: [status, rotate, remove],
});
