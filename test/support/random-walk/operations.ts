/*
 * What people do to ApiTokens, Secrets, policies, blocks and rows, including what they should not do. The weights keep
 * the world populated, so that a walk does not end in an empty cluster.
 */
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import { NO_POLICY_LABEL } from "../global-setup.ts";
import {
  changeRow,
  listSecrets,
  OWNERS,
  ownerOf,
  patchSecret,
  pickExisting,
  pickName,
  pickSecret,
  type Walk,
} from "./world.ts";

/** Something that people do. Resolves with the name of what it was done to. */
export type Operation = (walk: Walk) => Promise<string>;

const DURATIONS = ["2h", "24h", "720h", "2000h"];
const IS_LIVE = "apitoken.is_live(tokens, now())";

const onToken =
  (change: (walk: Walk, name: string) => Promise<unknown>): Operation =>
  async (walk) => {
    const name = pickName(walk);
    await change(walk, name);
    return name;
  };

const onExisting =
  (change: (walk: Walk, name: string) => Promise<unknown>): Operation =>
  async (walk) => {
    const name = await pickExisting(walk);
    await change(walk, name);
    return name;
  };

const onSpec = (build: (walk: Walk, name: string) => object): Operation =>
  onExisting((walk, name) => walk.cluster.patch(name, build(walk, name)));

const onSecret =
  (change: (walk: Walk, name: string) => Promise<unknown>): Operation =>
  async (walk) => {
    const secret = await pickSecret(walk);
    if (secret === undefined) return "none";
    await change(walk, secret.metadata.name);
    return secret.metadata.name;
  };

const onBlock =
  (change: (walk: Walk, name: string, owner: string) => Promise<unknown>): Operation =>
  async (walk) => {
    const owner = walk.random.pick(OWNERS);
    await change(walk, `block-${owner}`, owner);
    return owner;
  };

const aSpec = (walk: Walk, name: string) => ({
  owner: ownerOf(name),
  scopes: pickScopes(walk),
  duration: walk.random.pick(DURATIONS),
  secret: { onDelete: walk.random.chance(20) ? "Retain" : "Delete" },
});

const pickScopes = ({ random }: Walk) => ["a:read", "b:write", "c:*"].filter(() => random.chance(50));

const secretNames = (name: string) => [name, `${name}-alt`, "shared"];

async function createForeign(walk: Walk, name: string): Promise<void> {
  const { transport, namespace } = walk.cluster;
  const labels = walk.random.chance(50) ? { "apitoken.dev/managed": "true" } : {};
  const body = { metadata: { name, labels }, data: { token: Buffer.from("somebody else's").toString("base64") } };
  walk.foreign.set(name, await transport.request("POST", secretsPath(namespace), { body }));
}

async function removeSecret({ cluster, foreign }: Walk, name: string): Promise<void> {
  await cluster.transport.request("DELETE", `${secretsPath(cluster.namespace)}/${name}`);
  foreign.delete(name);
}

async function applyPolicy(walk: Walk): Promise<string> {
  const { random, resources, policies } = walk;
  const name = `policy-${random.below(5)}`;
  const [priority, max] = [random.below(100), 1 + random.below(6)];
  await resources.applyPolicy(name, {
    priority,
    maxTokensPerOwner: max,
    onLimit: random.pick(["RevokeOldest", "Reject"]),
    maxDuration: random.pick(["720h", "48h"]),
    defaultDuration: "12h",
    owners: random.chance(75) ? ["*"] : ["owner-1", "owner-2"],
    scopes: random.chance(75) ? ["*"] : ["a:*", "b:*"],
  });
  policies.set(name, { priority, max });
  return `${name} (priority ${priority}, at most ${max})`;
}

/** All operations of a random walk, each with its weight. */
export const OPERATIONS: readonly (readonly [sentence: string, weight: number, operation: Operation])[] = [
  ["apply", 22, onToken((walk, name) => walk.cluster.apply(name, aSpec(walk, name)))],
  ["delete", 5, onExisting(({ cluster }, name) => cluster.delete(name))],
  ["change the scopes", 6, onSpec((walk) => ({ scopes: pickScopes(walk) }))],
  ["change the duration", 5, onSpec(({ random }) => ({ duration: random.pick(DURATIONS) }))],
  ["rename the Secret", 5, onSpec(({ random }, name) => ({ secret: { name: random.pick(secretNames(name)) } }))],
  ["rename the key", 4, onSpec(({ random }) => ({ secret: { key: random.pick(["token", "password"]) } }))],
  [
    "change the templates",
    4,
    onSpec(({ random }) => ({
      secret: { data: { header: random.pick(["Bearer ${token}", "${owner}:${token}", null]) } },
    })),
  ],
  ["change the labels", 4, onSpec(({ random }) => ({ secret: { labels: { team: random.pick(["a", "b", null]) } } }))],
  ["switch rotation", 3, onSpec(({ random }) => ({ rotation: { policy: random.pick(["Auto", "Disabled"]) } }))],
  ["set the overlap", 3, onSpec(({ random }) => ({ rotation: { overlap: random.pick(["0s", "30m"]) } }))],
  ["suspend or resume", 4, onSpec(({ random }) => ({ suspend: random.chance(40) }))],
  ["revoke", 3, onSpec(() => ({ revoked: true, revocationReason: "at random" }))],
  [
    "request a rotation",
    8,
    onExisting(({ cluster, random }, name) =>
      cluster.annotate(name, { "apitoken.dev/rotate-requested-at": `request-${random.below(1_000_000)}` }),
    ),
  ],
  ["edit the Secret", 5, onSecret((walk, name) => patchSecret(walk, name, { data: { token: "ZWRpdGVk" } }))],
  ["add to the Secret", 2, onSecret((walk, name) => patchSecret(walk, name, { data: { extra: "ZWRpdGVk" } }))],
  [
    "remove the Secret's owner",
    2,
    onSecret((walk, name) => patchSecret(walk, name, { metadata: { ownerReferences: null } })),
  ],
  ["remove the Secret's labels", 2, onSecret((walk, name) => patchSecret(walk, name, { metadata: { labels: null } }))],
  [
    "copy one Secret's values to another",
    2,
    onSecret(async (walk, name) => {
      const { data } = (await pickSecret(walk)) ?? {};
      await patchSecret(walk, name, { data });
    }),
  ],
  ["delete the Secret", 5, onSecret(removeSecret)],
  [
    "put a foreign Secret in a Secret's place",
    3,
    onSecret(async (walk, name) => {
      await removeSecret(walk, name);
      await createForeign(walk, name);
    }),
  ],
  ["create a foreign Secret", 3, onToken((walk, name) => createForeign(walk, walk.random.pick(secretNames(name))))],
  [
    "delete Secrets that are not ours",
    3,
    async (walk) => {
      const names = (await listSecrets(walk))
        .filter(({ metadata }) => !metadata.ownerReferences && metadata.name !== "apitoken-keyring")
        .map(({ metadata }) => metadata.name);
      for (const name of names) await removeSecret(walk, name);
      return names.join(", ");
    },
  ],
  [
    "SQL: revoke a row",
    4,
    (walk) => changeRow(walk, IS_LIVE, "update apitoken.tokens set revoked_at = now(), revocation_reason = 'leaked'"),
  ],
  ["SQL: delete a row", 4, (walk) => changeRow(walk, "true", "delete from apitoken.tokens")],
  [
    "SQL: extend a row",
    3,
    (walk) => changeRow(walk, IS_LIVE, "update apitoken.tokens set expires_at = expires_at + interval '1 day'"),
  ],
  [
    "SQL: revive a row",
    2,
    (walk) =>
      changeRow(
        walk,
        `not (${IS_LIVE})`,
        "update apitoken.tokens set expires_at = now() + interval '1 day', revoked_at = null",
      ).catch((error: Error) => error.message.replace(/ended at .* and/, "…")),
  ],
  [
    "SQL: end a row's life",
    2,
    (walk) =>
      changeRow(walk, "issued_at < now() - interval '1 second'", "update apitoken.tokens set expires_at = now()"),
  ],
  ["SQL: change a row's scopes", 2, (walk) => changeRow(walk, IS_LIVE, "update apitoken.tokens set scopes = '{root}'")],
  ["apply a policy", 6, applyPolicy],
  [
    "delete a policy",
    4,
    async ({ random, resources, policies }) => {
      const name = `policy-${random.below(5)}`;
      await resources.deletePolicy(name);
      policies.delete(name);
      return name;
    },
  ],
  [
    "block an owner",
    4,
    onBlock(async ({ random, resources, blocks }, name, owner) => {
      const isEffective = random.chance(60);
      const effectiveAt = isEffective ? "2026-01-01T00:00:00Z" : "2126-01-01T00:00:00Z";
      await resources.applyBlock(name, { owner, reason: "at random", effectiveAt, erase: random.chance(10) });
      blocks.set(name, { owner, isEffective });
    }),
  ],
  [
    "lift a block",
    5,
    onBlock(async ({ resources, blocks }, name) => {
      await resources.deleteBlock(name);
      blocks.delete(name);
    }),
  ],
  [
    "label the namespace",
    3,
    async ({ cluster: { transport, namespace }, random }) => {
      const value = random.chance(30) ? "yes" : null;
      await transport.request("PATCH", `/api/v1/namespaces/${namespace}`, {
        contentType: "application/merge-patch+json",
        body: { metadata: { labels: { [NO_POLICY_LABEL]: value } } },
      });
      return `without a policy: ${value}`;
    },
  ],
];
