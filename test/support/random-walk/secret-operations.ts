/*
 * What people do to Secrets: edits, losses, restores, and Secrets of their own in the wrong place.
 */
import type { Secret } from "../../../src/kube/resources/secret.ts";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import { type Operation, onSecret, onToken } from "./operation.ts";
import { secretNames } from "./token-operations.ts";
import { listSecrets, listTokens, patchSecret, pickSecret, removeSecret, type Walk } from "./world.ts";

const encode = (text: string) => Buffer.from(text).toString("base64");

/** Creates a Secret of somebody else's. It may have our label, and a copy of a token. */
async function createForeign(walk: Walk, name: string): Promise<void> {
  const labels = walk.random.chance(50) ? { "apitoken.dev/managed": "true" } : {};
  const copied = walk.random.chance(50) ? (await pickSecret(walk))?.data : undefined;
  const data = { token: encode("somebody else's"), ...copied, other: encode("must be kept") };
  walk.foreign.set(name, await create(walk, { metadata: { name, labels }, data }));
}

/** Removes everything by which a Secret is ours. From then on it is not. */
async function stripMarks(walk: Walk, name: string): Promise<void> {
  const metadata = { ownerReferences: null, labels: null, annotations: null };
  walk.foreign.set(name, await patchSecret(walk, name, { metadata }));
}

function create({ cluster: { transport, namespace } }: Walk, body: object): Promise<Secret> {
  return transport.request("POST", secretsPath(namespace), { body });
}

function pickVersion({ random, memory }: Walk, name: string): Secret | undefined {
  const versions = memory.versions.get(name) ?? [];
  return versions.length === 0 ? undefined : random.pick(versions);
}

/** Puts the content of another Secret, or an earlier one, into this one: its values, and perhaps what is noted on it. */
async function overwrite(walk: Walk, name: string, source: Secret | undefined): Promise<void> {
  if (source === undefined) return;
  const { data, metadata } = source;
  const noted = walk.random.chance(50) ? { metadata: { annotations: metadata.annotations } } : {};
  await patchSecret(walk, name, { data, ...noted });
}

/** Creates an earlier version of a deleted Secret again, with everything that it had. */
async function restore(walk: Walk): Promise<string> {
  const names = [...walk.memory.versions.keys()];
  const name = names.length === 0 ? "none" : walk.random.pick(names);
  const version = pickVersion(walk, name);
  if (version === undefined) return "none";
  const { labels, annotations, ownerReferences } = version.metadata;
  await create(walk, { metadata: { name, labels, annotations, ownerReferences }, data: version.data });
  return name;
}

/** Deletes the Secrets that belong to no ApiToken that exists. */
async function tidy(walk: Walk): Promise<string> {
  const uids = (await listTokens(walk)).map(({ metadata }) => metadata.uid);
  const names = (await listSecrets(walk))
    .filter(({ metadata }) => !uids.includes(metadata.ownerReferences?.[0]?.uid ?? ""))
    .map(({ metadata }) => metadata.name);
  for (const name of names) await removeSecret(walk, name);
  return names.join(", ");
}

export const SECRET_OPERATIONS: readonly Operation[] = [
  ["edit the Secret", 5, onSecret((walk, name) => patchSecret(walk, name, { data: { token: encode("edited") } }))],
  ["add to the Secret", 2, onSecret((walk, name) => patchSecret(walk, name, { data: { extra: encode("edited") } }))],
  [
    "remove the Secret's owner",
    2,
    onSecret((walk, name) => patchSecret(walk, name, { metadata: { ownerReferences: null } })),
  ],
  ["remove the Secret's labels", 2, onSecret((walk, name) => patchSecret(walk, name, { metadata: { labels: null } }))],
  ["remove all our marks from the Secret", 2, onSecret(stripMarks)],
  ["put an earlier Secret back", 6, onSecret((walk, name) => overwrite(walk, name, pickVersion(walk, name)))],
  ["put another's Secret in", 4, onSecret(async (walk, name) => overwrite(walk, name, await pickSecret(walk)))],
  ["delete the Secret", 5, onSecret(removeSecret)],
  ["restore a deleted Secret", 4, restore],
  [
    "put a foreign Secret in a Secret's place",
    3,
    onSecret(async (walk, name) => {
      await removeSecret(walk, name);
      await createForeign(walk, name);
    }),
  ],
  ["create a foreign Secret", 3, onToken((walk, name) => createForeign(walk, walk.random.pick(secretNames(name))))],
  ["delete Secrets that are not ours", 4, tidy],
];
