import { z } from "zod";
import type { ObjectMeta } from "../../kube/resources/group.ts";
import { createTransport, type KubeTransport } from "../../kube/transport.ts";
import { type Database, type DatabaseLogin, openDatabase } from "../../postgres/database.ts";
import { findKeyUses } from "../../postgres/keys.ts";
import { requireSchema } from "../../postgres/migrations.ts";
import { ConfigError, databaseSettings, readEnvironment, readLogin, readOptions } from "../../runtime/config.ts";
import { KeyringError } from "../../runtime/keyring-json.ts";
import { EXIT_DONE, EXIT_FAILED } from "../../runtime/program.ts";
import { createPaint, isColoured } from "../../runtime/terminal.ts";
import { VERSION } from "../../runtime/version.ts";
import { parseDuration } from "../../token/duration.ts";
import { describeKeys, KEY_KINDS, type KeyKind, type KeyStatus } from "../../token/key-status.ts";
import { formatTime } from "../../token/status.ts";
import { type KeyringPlace, keyringPlace, keyringSettings } from "../config.ts";
import { addKeys, removeKey } from "./changes.ts";
import { formatKeyJson, formatKeyLines, formatKeyTable } from "./report.ts";
import { readKeyring, type StoredKeyring } from "./secret.ts";

const HELP = `apitoken controller keys ${VERSION}

Shows and changes the keyring: the peppers of the tokens' hashes, and the keys of their encrypted metadata.

Usage: controller keys status [-o text|json]
       controller keys rotate [--kind pepper|encryption] [--active-in 2m]
       controller keys remove ID

  status   each key: its state, how many rows that still work name it, and whether it can be removed
  rotate   adds a new key of each kind (or of one). It takes over after --active-in: by then every program must have
           read the keyring again, or it refuses tokens that were made with the new key. Controllers need no restart.
           Metadata is encrypted anew in the background; a pepper is needed until its last token has ended.
  remove   takes an old key out, if no row needs it

Settings: DATABASE_URL (status, remove), KUBECONFIG, APITOKEN_NAMESPACE, APITOKEN_KEYRING_SECRET; see controller --help.

Exit codes: 0 done, 1 failed or refused, 2 bad configuration.
`;

const DATABASE_SETTINGS = z.object(databaseSettings);

/** What the subcommands share. `write` takes the program's results. */
interface KeysContext {
  readonly environment: NodeJS.ProcessEnv;
  readonly transport: KubeTransport;
  readonly place: KeyringPlace;
  readonly write: (text: string) => void;
}

/** Runs `controller keys …`; returns the exit code. */
export async function runKeys(args: string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const { values, positionals } = readOptions(args, {
    help: { type: "boolean", short: "h" },
    kind: { type: "string" },
    "active-in": { type: "string", default: "2m" },
    output: { type: "string", short: "o", default: "text" },
  });
  const write = (text: string) => void process.stdout.write(text);
  const [command, id, ...rest] = positionals;
  if (values.help) {
    write(HELP);
    return EXIT_DONE;
  }
  if (rest.length > 0 || (id !== undefined && command !== "remove")) {
    throw new ConfigError(`"${rest[0] ?? id}" is not an option of controller keys ${command}`);
  }
  const kinds = readKinds(values.kind);
  const activeInMs = readActiveIn(values["active-in"]);
  const format = readFormat(values.output, environment);
  const run = {
    status: (context: KeysContext) => showStatus(context, format),
    rotate: (context: KeysContext) => rotate(context, kinds, activeInMs),
    remove: (context: KeysContext) => remove(context, id),
  }[command ?? ""];
  if (run === undefined) throw new ConfigError("say what to do: controller keys status, rotate or remove");

  const settings = readEnvironment(keyringSettings, environment);
  const transport = await createTransport({
    userAgent: `apitoken-keys/${VERSION}`,
    ...(settings.KUBECONFIG === undefined ? {} : { kubeconfigPath: settings.KUBECONFIG }),
  });
  try {
    return await run({ environment, transport, place: keyringPlace(settings), write });
  } finally {
    await transport.close();
  }
}

async function showStatus(context: KeysContext, format: (keys: readonly KeyStatus[]) => string): Promise<number> {
  const { keys } = await lookUp(context);
  context.write(format(keys));
  return keys.some(({ state }) => state === "missing") ? EXIT_FAILED : EXIT_DONE;
}

async function rotate(context: KeysContext, kinds: readonly KeyKind[], activeInMs: number): Promise<number> {
  const { transport, place, write } = context;
  const activeFrom = new Date(Date.now() + activeInMs);
  const added = await addKeys(transport, place, await needKeyring(context), kinds, activeFrom);
  for (const { kind, id } of added) write(`${kind} ${id} added; it takes over at ${formatTime(activeFrom)}\n`);
  write("The former keys are still needed: controller keys status tells when they can be removed.\n");
  return EXIT_DONE;
}

async function remove(context: KeysContext, id: string | undefined): Promise<number> {
  if (id === undefined) throw new ConfigError("say which key: controller keys remove ID");
  const { stored, keys } = await lookUp(context);
  const key = keys.find((each) => each.id === id && each.state !== "missing");
  if (key === undefined) throw new KeyringError(`there is no key "${id}" in the keyring; see controller keys status`);
  if (!key.isRemovable) throw new KeyringError(explainRefusal(key));
  await removeKey(context.transport, context.place, stored, key.kind, id);
  context.write(`${key.kind} ${id} removed\n`);
  return EXIT_DONE;
}

function explainRefusal({ kind, id, state, rows, lastEndsAt }: KeyStatus): string {
  if (state !== "old") return `the ${kind} "${id}" is the ${state} one; rotate first, and remove it when it is old`;
  const until = lastEndsAt === undefined ? "" : `; the last of them ends at ${formatTime(lastEndsAt)}`;
  const what = kind === "pepper" ? "tokens that still work" : "metadata of tokens that still work";
  return `the ${kind} "${id}" is needed for ${what}: ${rows} ${rows === 1 ? "row names" : "rows name"} it${until}`;
}

/** The keyring, and what the database says of its keys. */
async function lookUp(context: KeysContext): Promise<{ stored: StoredKeyring; keys: KeyStatus[] }> {
  const { transport, environment } = context;
  const db = openKeysDatabase(readLogin(readEnvironment(DATABASE_SETTINGS, environment)));
  try {
    const stored = await needKeyring(context);
    const { metadata } = await transport.request<{ metadata: ObjectMeta }>("GET", "/api/v1/namespaces/kube-system");
    await requireSchema(db);
    const { now, uses } = await findKeyUses(db, metadata.uid);
    return { stored, keys: describeKeys(stored.keyring, uses, now) };
  } finally {
    await db.close();
  }
}

function openKeysDatabase(login: DatabaseLogin): Database {
  return openDatabase({ ...login, role: "apitoken_controller", actor: "controller/keys", maxConnections: 1 });
}

async function needKeyring({ transport, place }: KeysContext): Promise<StoredKeyring> {
  const stored = await readKeyring(transport, place);
  if (stored !== undefined) return stored;
  throw new KeyringError(
    `there is no Secret "${place.namespace}/${place.name}"; a controller makes it when it starts, or APITOKEN_NAMESPACE ` +
      "and APITOKEN_KEYRING_SECRET say where else it is",
  );
}

function readKinds(text: string | undefined): readonly KeyKind[] {
  const kinds = KEY_KINDS.filter((kind) => text === undefined || kind === text);
  if (kinds.length === 0) throw new ConfigError(`--kind is "${text}", but must be pepper or encryption`);
  return kinds;
}

function readActiveIn(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new ConfigError(`--active-in is "${text}": ${(error as Error).message}`);
  }
}

function readFormat(text: string, environment: NodeJS.ProcessEnv): (keys: readonly KeyStatus[]) => string {
  if (text === "json") return formatKeyJson;
  const paint = createPaint(isColoured(process.stdout, environment));
  if (text === "text") return process.stdout.isTTY ? (keys) => formatKeyTable(keys, paint) : formatKeyLines;
  throw new ConfigError(`--output is "${text}", but must be text or json`);
}
