/*
 * `controller keys`: a pepper that a live token needs cannot be replaced, so each change is checked against the rows.
 */
import { findClusterId } from "../../kube/resources/namespace.ts";
import { createTransport, type KubeTransport } from "../../kube/transport.ts";
import { openDatabase } from "../../postgres/database.ts";
import { findKeyUses } from "../../postgres/keys.ts";
import { requireSchema } from "../../postgres/schema-version.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { databaseEnvironment, readEnvironment, readLogin } from "../../runtime/config.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { KeyringError } from "../../runtime/keyring-json.ts";
import { RefusedError } from "../../runtime/program.ts";
import { unlessAborted } from "../../runtime/signals.ts";
import { createPaint, isColoured } from "../../runtime/terminal.ts";
import { count } from "../../runtime/text.ts";
import { VERSION } from "../../runtime/version.ts";
import { describeKeys, KEY_KINDS, type KeyKind, type KeyStatus } from "../../token/key-status.ts";
import { formatTime } from "../../token/status.ts";
import { type KeyringPlace, readKeyringConfig } from "../config.ts";
import { addKeys, removeKey } from "./changes.ts";
import { formatKeyJson, formatKeyLines, formatKeyTable } from "./report.ts";
import { createMissingError, readKeyring, type StoredKeyring } from "./secret.ts";

/** Where a command finds the keyring. */
interface KeyringAccess {
  readonly transport: KubeTransport;
  readonly place: KeyringPlace;
}

type StatusOptions = { readonly output: "text" | "json"; readonly color: boolean | undefined };

/** `controller keys status`; returns the exit code. */
export function showKeys(context: CommandContext<StatusOptions>): Promise<number> {
  const { options, environment } = context;
  return withKeyring(context, async (access) => {
    const { keys } = await lookUp(access, environment);
    process.stdout.write(format(keys, options, environment));
    return keys.some(({ state }) => state === "missing") ? EXIT.failed : EXIT.done;
  });
}

type RotateOptions = { readonly kind: KeyKind | undefined; readonly "active-in": number };

/** `controller keys rotate`; returns the exit code. `active-in` is in milliseconds. */
export function rotateKeys(context: CommandContext<RotateOptions>): Promise<number> {
  const { kind, "active-in": activeInMs } = context.options;
  return withKeyring(context, async ({ transport, place }) => {
    const activeFrom = new Date(Date.now() + activeInMs);
    const kinds = kind === undefined ? KEY_KINDS : [kind];
    const added = await addKeys(transport, place, await requireKeyring({ transport, place }), kinds, activeFrom);
    for (const { kind, id } of added) {
      process.stdout.write(`${kind} ${id} added; it takes over at ${formatTime(activeFrom)}\n`);
    }
    process.stdout.write('The old keys are still needed; "controller keys status" shows when they can be removed.\n');
    return EXIT.done;
  });
}

/** `controller keys remove`; returns the exit code. Throws a RefusedError if the key is still needed. */
export function removeOldKey(context: CommandContext): Promise<number> {
  const { argument: id, environment } = context;
  return withKeyring(context, async (access) => {
    const { stored, keys } = await lookUp(access, environment);
    const key = keys.find((each) => each.id === id && each.state !== "missing");
    if (key?.kind === "pseudonym") throw createKeptRefusal(key);
    if (key === undefined) {
      throw new KeyringError({
        faultCode: "APITOKEN_E_KEY_UNKNOWN",
        object: `key "${id}"`,
        problem: "the keyring has no such key",
        remedy: 'see "controller keys status"',
      });
    }
    if (!key.isRemovable) throw createRefusal(key);
    await removeKey(access.transport, access.place, stored, key.kind, id);
    process.stdout.write(`${key.kind} ${id} removed\n`);
    return EXIT.done;
  });
}

async function withKeyring(
  { environment, stop }: CommandContext<unknown>,
  work: (access: KeyringAccess) => Promise<number>,
): Promise<number> {
  const { kubeconfigPath, keyringPlace } = readKeyringConfig(environment);
  const transport = await createTransport({
    userAgent: `apitoken-keys/${VERSION}`,
    ...(kubeconfigPath === undefined ? {} : { kubeconfigPath }),
  });
  const done = work({ transport, place: keyringPlace }).finally(() => transport.close());
  return unlessAborted(done, stop);
}

function createKeptRefusal({ id }: KeyStatus): RefusedError {
  return new RefusedError({
    faultCode: "APITOKEN_E_KEY_IN_USE",
    object: `the pseudonym key "${id}"`,
    problem: "with another one, an owner who was erased before would get a second pseudonym",
    remedy: "keep it: it is never rotated",
  });
}

function createRefusal({ kind, id, state, rows, lastEndsAt }: KeyStatus): RefusedError {
  const fault = { faultCode: "APITOKEN_E_KEY_IN_USE", object: `the ${kind} "${id}"` } as const;
  if (state !== "old") {
    return new RefusedError({
      ...fault,
      problem: `it is the ${state} one`,
      remedy: "rotate first, and remove it when it is old",
    });
  }
  const what = kind === "pepper" ? "accepted tokens" : "the metadata of accepted tokens";
  return new RefusedError({
    ...fault,
    problem: `it is needed for ${what}: ${count(rows, "row names", "rows name")} it`,
    remedy: lastEndsAt && `the last of them ends at ${formatTime(lastEndsAt)}`,
  });
}

/** The keyring, with what the database says about the use of its keys. */
async function lookUp(
  access: KeyringAccess,
  environment: NodeJS.ProcessEnv,
): Promise<{ stored: StoredKeyring; keys: KeyStatus[] }> {
  const db = openDatabase({
    ...readLogin(readEnvironment(databaseEnvironment, environment)),
    role: "apitoken_controller",
    actor: "controller/keys",
    maxConnections: 1,
  });
  try {
    const stored = await requireKeyring(access);
    const clusterId = await findClusterId(access.transport);
    await requireSchema(db);
    const { now, uses } = await findKeyUses(db, clusterId);
    return { stored, keys: describeKeys(stored.keyring, uses, now) };
  } finally {
    await db.close();
  }
}

async function requireKeyring({ transport, place }: KeyringAccess): Promise<StoredKeyring> {
  const stored = await readKeyring(transport, place);
  if (stored !== undefined) return stored;
  throw createMissingError(
    place,
    "the controller creates it when it first starts; if the keyring is in another Secret, set APITOKEN_NAMESPACE and " +
      "APITOKEN_KEYRING_SECRET",
  );
}

function format(keys: readonly KeyStatus[], { output, color }: StatusOptions, environment: NodeJS.ProcessEnv): string {
  if (output === "json") return formatKeyJson(keys);
  if (!process.stdout.isTTY) return formatKeyLines(keys);
  return formatKeyTable(keys, createPaint(isColoured(process.stdout, environment, color)));
}
