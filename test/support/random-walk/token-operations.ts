/*
 * What people do to ApiTokens.
 */
import { type Operation, onExisting, onSpec, onToken } from "./operation.ts";
import { ownerOf, type Walk } from "./world.ts";

const DURATIONS = ["2h", "24h", "720h", "2000h"];

/** The names that specs give to Secrets. Two ApiTokens may want the same one. */
export const secretNames = (name: string) => [name, `${name}-alt`, "shared"];

const pickScopes = ({ random }: Walk) => ["a:read", "b:write", "c:*"].filter(() => random.chance(50));

const aSpec = (walk: Walk, name: string) => ({
  owner: ownerOf(name),
  scopes: pickScopes(walk),
  duration: walk.random.pick(DURATIONS),
  secret: { onDelete: walk.random.chance(20) ? "Retain" : "Delete" },
});

/** Lets the token end as if its time had passed: from now on it is in its grace, if it has one, and no other follows. */
async function endNow({ cluster, db }: Walk, name: string): Promise<void> {
  await cluster.patch(name, { duration: "10s", rotation: { policy: "Disabled" } });
  await db.query({
    text: `update apitoken.tokens t set issued_at = issued_at - interval '10 seconds', expires_at = now()
           where name = $1 and apitoken.is_live(t, now()) and revoked_at is null`,
    values: [name],
  });
}

export const TOKEN_OPERATIONS: readonly Operation[] = [
  ["apply", 26, onToken((walk, name) => walk.cluster.apply(name, aSpec(walk, name)))],
  ["delete", 5, onExisting(({ cluster }, name) => cluster.delete(name))],
  ["change the scopes", 6, onSpec((walk) => ({ scopes: pickScopes(walk) }))],
  ["change the duration", 5, onSpec(({ random }) => ({ duration: random.pick(DURATIONS) }))],
  // One that is older ends at once, and may be in its grace from then on.
  ["let it end soon", 5, onSpec(() => ({ duration: "10s", rotation: { policy: "Disabled" } }))],
  ["let it end now", 8, onExisting(endNow)],
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
  ["switch rotation", 4, onSpec(({ random }) => ({ rotation: { policy: random.pick(["Auto", "Disabled"]) } }))],
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
];
