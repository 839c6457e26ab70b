/*
 * Reads cluster, database and keyring for the doctor, and copes with each of them being unusable: the doctor is run
 * when something is broken, and must then still report what it can.
 */
import { isCode } from "../../kube/api-error.ts";
import { type ListOptions, listAll } from "../../kube/list.ts";
import { API_TOKEN_FIELDS, reduceApiToken } from "../../kube/resources/api-token.ts";
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { GROUP, MANAGED_LABEL } from "../../kube/resources/group.ts";
import { findClusterId, NAMESPACE_FIELDS, NAMESPACES_PATH, reduceNamespace } from "../../kube/resources/namespace.ts";
import { OWNER_BLOCK_FIELDS, OWNER_BLOCKS_PATH, reduceOwnerBlock } from "../../kube/resources/owner-block.ts";
import { POLICIES_PATH, POLICY_FIELDS, reducePolicy } from "../../kube/resources/policy.ts";
import { CACHED_SECRET_FIELDS, reduceSecret } from "../../kube/resources/secret.ts";
import { secretsPath } from "../../kube/resources/secret-api.ts";
import type { Store, Stored } from "../../kube/store.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import type { Database } from "../../postgres/database.ts";
import { EVENT_MONTHS_AHEAD } from "../../postgres/event-partitions.ts";
import { findFaultyTriggers, findMissingEventMonths } from "../../postgres/examination.ts";
import { findKeyUses, findSwappedKeys } from "../../postgres/keys.ts";
import { requireSchema, SchemaMismatchError } from "../../postgres/schema-version.ts";
import { KeyringError } from "../../runtime/keyring-json.ts";
import type { TokenHasher } from "../../runtime/token-hash.ts";
import { describeKeyChecks, findMissingKeys } from "../../token/key-status.ts";
import type { Keyring } from "../../token/keyring.ts";
import type { ControllerConfig } from "../config.ts";
import { loadKeyring } from "../keyring/secret.ts";
import { type Caches, createCaches } from "../pass/caches.ts";
import { crossExamine } from "./cross-examine.ts";
import type { DatabaseExamination, Examination, KeyringExamination } from "./examination.ts";

export interface ReadOptions {
  readonly config: ControllerConfig;
  readonly transport: KubeTransport;
  readonly db: Database;
  readonly hasher: TokenHasher;
  /** Called with how many of all ApiTokens have been examined. */
  readonly onProgress: (done: number, all: number) => void;
}

/** What was read and, if cluster and database could be compared, what repairs need to run: `ground`. */
export interface ReadResult {
  readonly examination: Examination;
  readonly ground: { readonly caches: Caches; readonly keyring: Keyring; readonly clusterId: string } | undefined;
}

/** Reads everything that is compared. Writes nothing. Throws the errors of an unreachable API server or database. */
export async function examine(options: ReadOptions): Promise<ReadResult> {
  const { config, transport, db, hasher } = options;
  const caches = createCaches();
  const clusterId = await findClusterId(transport);
  const [keyring, database] = await Promise.all([readKeyring(transport, config), examineDatabase(db, clusterId)]);
  const ring = "fault" in keyring ? undefined : keyring;
  const missingDefinitions = await fillCaches(options, caches, ring);
  const context = ring && { transport, db, caches, keyring: ring, hasher, clusterId, deniedKeys: config.deniedKeys };
  const isComparable = missingDefinitions.length === 0 && database.schemaFault === undefined;
  const cross =
    context && isComparable
      ? await crossExamine(context, config.watchedNamespaces, options.onProgress, config.concurrency)
      : undefined;
  return {
    ground: cross && context,
    examination: {
      now: new Date(),
      cluster: {
        missingDefinitions,
        policies: [...caches.policies.values()],
        namespaces: [...caches.namespaces.values()],
      },
      database,
      keyring: "fault" in keyring ? keyring : await examineKeyring(db, clusterId, keyring, database),
      cross,
    },
  };
}

/** Never creates a keyring: that it is missing is something to report. */
async function readKeyring(
  transport: KubeTransport,
  { keyringPlace }: ControllerConfig,
): Promise<Keyring | { fault: KeyringError }> {
  try {
    return await loadKeyring(transport, keyringPlace, () => Promise.resolve(true));
  } catch (error) {
    if (error instanceof KeyringError) return { fault: error };
    throw error;
  }
}

async function examineKeyring(
  db: Database,
  clusterId: string,
  keyring: Keyring,
  { schemaFault, keyUses }: DatabaseExamination,
): Promise<KeyringExamination> {
  const swapped = schemaFault === undefined ? await findSwappedKeys(db, clusterId, describeKeyChecks(keyring)) : [];
  return { missing: findMissingKeys(keyring, keyUses), swapped };
}

async function examineDatabase(db: Database, clusterId: string): Promise<DatabaseExamination> {
  try {
    await requireSchema(db);
  } catch (error) {
    if (!(error instanceof SchemaMismatchError)) throw error;
    return { schemaFault: error, missingEventMonths: [], faultyTriggers: [], keyUses: [] };
  }
  const [missingEventMonths, faultyTriggers, { uses }] = await Promise.all([
    findMissingEventMonths(db, EVENT_MONTHS_AHEAD),
    findFaultyTriggers(db),
    findKeyUses(db, clusterId),
  ]);
  return { schemaFault: undefined, missingEventMonths, faultyTriggers, keyUses: uses };
}

/** Fills the caches; returns the missing CustomResourceDefinitions. Without a keyring, Secrets are not read. */
async function fillCaches(
  { transport, config }: ReadOptions,
  caches: Caches,
  keyring: Keyring | undefined,
): Promise<string[]> {
  const missing = new Set<string>();
  const fill = async <T extends Stored>(store: Store<T>, path: string, options: ListOptions<T>) => {
    for (const object of await listAll(transport, path, options)) store.upsert(object);
  };
  const fillOurs = <T extends Stored>(plural: string, ...rest: Parameters<typeof fill<T>>) =>
    fill<T>(...rest).catch((error: unknown) => {
      if (!isCode(error, 404)) throw error;
      missing.add(`${plural}.${GROUP}`);
    });
  const chosen = config.watchedNamespaces;
  const places = chosen.length > 0 ? chosen : [undefined];
  await Promise.all([
    fill(caches.namespaces, NAMESPACES_PATH, { fields: NAMESPACE_FIELDS, readItem: reduceNamespace }),
    fillOurs("apitokenpolicies", caches.policies, POLICIES_PATH, { fields: POLICY_FIELDS, readItem: reducePolicy }),
    fillOurs("ownerblocks", caches.ownerBlocks, OWNER_BLOCKS_PATH, {
      fields: OWNER_BLOCK_FIELDS,
      readItem: reduceOwnerBlock,
    }),
    ...places.map(async (namespace) => {
      const tokens = { fields: API_TOKEN_FIELDS, readItem: reduceApiToken };
      await fillOurs("apitokens", caches.apiTokens, apiTokensPath(namespace), tokens);
      if (keyring === undefined) return;
      await fill(caches.secrets, secretsPath(namespace), {
        fields: CACHED_SECRET_FIELDS,
        readItem: (raw) => reduceSecret(raw, keyring),
        labelSelector: `${MANAGED_LABEL}=true`,
      });
    }),
  ]);
  return [...missing].sort();
}
