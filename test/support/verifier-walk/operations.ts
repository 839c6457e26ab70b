/*
 * What can happen to tokens while verifiers answer: with SQL, as the controller and people change rows, and through a verifier.
 */
import pg from "pg";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createKey, hashToken } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { eventually } from "../eventually.ts";
import { createHistory } from "./history.ts";
import type { ModelRow, ModelToken } from "./oracle.ts";
import { nowMs, type VerifierWorld } from "./world.ts";

/** Does something, and says what. */
export type Operation = (world: VerifierWorld) => Promise<string>;

const OWNERS = ["alice", "bob", "carol", "dave"] as const;

/** SQL intervals from now. */
const SOON = ["500 milliseconds", "1 second", "2 seconds", "4 seconds"] as const;

const ACCEPTED_UNTIL = "extract(epoch from apitoken.accepted_until(t)) * 1000 as accepted_until_ms";

type AcceptedRow = { id: string; accepted_until_ms: string };

const toRow = ({ accepted_until_ms }: AcceptedRow): ModelRow => ({ acceptedUntilMs: Number(accepted_until_ms) });

/** Issues a token of the owner, for a day or for a short time, with a grace or without. */
async function issueFor({ random, databaseUrl, tokens, keyring }: VerifierWorld, owner: string): Promise<ModelToken> {
  const { id, plaintext } = createToken();
  const [pepper] = keyring.peppers;
  const life = random.chance(30) ? random.pick(SOON) : "1 day";
  const graceSeconds = random.chance(30) ? 1 + random.below(4) : null;
  const [row] = await runAsSuperuser<AcceptedRow>(
    databaseUrl,
    `insert into apitoken.tokens as t (id, cluster_id, namespace, name, resource_uid, revision, owner, scopes, hash, hash_algorithm,
       key_id, issued_at, expires_at, grace_seconds)
     values ($1, '11111111-1111-4111-8111-111111111111', 'shop', $1, gen_random_uuid(), 1, $2, '{read}', $3, 'hmac-sha256', $4,
       now() - interval '1 day', now() + $5::interval, $6) returning t.id, ${ACCEPTED_UNTIL}`,
    [id, owner, hashToken(plaintext, pepper), pepper.id, life, graceSeconds],
  );
  const token = { id, plaintext, owner, row: createHistory<ModelRow | undefined>(row && toRow(row)) };
  tokens.push(token);
  return token;
}

/** Changes rows of tokens by a statement with `$1`, their ids. What has ended before is refused, and stays as it was. */
async function change(world: VerifierWorld, changed: readonly ModelToken[], assignments: string): Promise<void> {
  const settles: ((nowMs: number) => void)[] = [];
  for (const token of changed) {
    const before = token.row.latest;
    if (before === undefined || before.acceptedUntilMs <= nowMs() + 50) continue; // its end must not be passing at this moment
    const begunAtMs = nowMs();
    try {
      const [row] = await runAsSuperuser<AcceptedRow>(
        world.databaseUrl,
        `update apitoken.tokens t set ${assignments} where id = $1 returning t.id, ${ACCEPTED_UNTIL}`,
        [token.id],
      );
      settles.push(token.row.begin(row && toRow(row), begunAtMs));
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== "23514") throw error;
    }
    for (const settle of settles.splice(0)) settle(nowMs());
  }
}

const ofOwner = ({ tokens }: VerifierWorld, owner: string) => tokens.filter((token) => token.owner === owner);

const isAccepted = ({ row }: ModelToken) => (row.latest?.acceptedUntilMs ?? 0) > nowMs();

function pickAccepted({ tokens, random }: VerifierWorld): ModelToken | undefined {
  const accepted = tokens.filter(isAccepted);
  return accepted.length === 0 ? undefined : random.pick(accepted);
}

/** An operation on one accepted token; nothing happens if there is none. */
const onToken =
  (what: string, work: (world: VerifierWorld, token: ModelToken) => Promise<unknown>): Operation =>
  async (world) => {
    const token = pickAccepted(world);
    if (token !== undefined) await work(world, token);
    return `${what} ${token?.id ?? "(none)"}`;
  };

async function issue(world: VerifierWorld): Promise<string> {
  const token = await issueFor(world, world.random.pick(OWNERS));
  return `issue ${token.id} for ${token.owner}`;
}

async function rotate(world: VerifierWorld, token: ModelToken): Promise<void> {
  await issueFor(world, token.owner);
  await change(world, [token], `revoked_at = now() + interval '${world.random.pick(SOON)}'`);
}

async function supersede(world: VerifierWorld, token: ModelToken): Promise<void> {
  const older = ofOwner(world, token.owner).filter(isAccepted);
  await issueFor(world, token.owner);
  await change(world, older, "revoked_at = now(), revocation_reason = 'Superseded'");
}

async function remove({ databaseUrl }: VerifierWorld, token: ModelToken): Promise<void> {
  const settle = token.row.begin(undefined, nowMs());
  await runAsSuperuser(databaseUrl, "delete from apitoken.tokens where id = $1", [token.id]);
  settle(nowMs());
}

/**
 * A holder ends a token through a verifier: the other one must refuse it, too. Until a verifier has read a new pepper, it does not know
 * whose token it is, and asks the holder to come again.
 */
async function endByHolder({ verifiers, random }: VerifierWorld, token: ModelToken): Promise<void> {
  const settle = token.row.begin(undefined, nowMs());
  const body = new URLSearchParams({ token: token.plaintext });
  const url = `${random.pick(verifiers).introspectionUrl}/revoke`;
  const status = await eventually(async () => {
    const answer = await fetch(url, { method: "POST", body });
    return answer.status !== 503 && answer.status;
  });
  if (status !== 200) throw new Error(`/revoke answered ${status}`);
  settle(nowMs());
}

async function block({ random, databaseUrl, oracle }: VerifierWorld): Promise<string> {
  const owner = random.pick(OWNERS);
  const when = random.chance(50) ? "0 seconds" : random.pick(SOON);
  const begunAtMs = nowMs();
  const [row] = await runAsSuperuser<{ from_ms: string }>(
    databaseUrl,
    `insert into apitoken.blocked_owners (cluster_id, uid, name, owner, reason, effective_at)
     values ('11111111-1111-4111-8111-111111111111', gen_random_uuid(), gen_random_uuid()::text, $1, 'walk', now() + $2::interval)
     returning extract(epoch from effective_at) * 1000 as from_ms`,
    [owner, when],
  );
  const history = oracle.blockOf(owner);
  history.begin(Math.min(history.latest, Number(row?.from_ms)), begunAtMs)(nowMs());
  return `block ${owner} in ${when}`;
}

/** As a leader ends a blocked owner's tokens: nothing is notified of each of them. */
async function sweep(world: VerifierWorld): Promise<string> {
  const blocked = OWNERS.filter((owner) => world.oracle.blockOf(owner).latest <= nowMs() - 50);
  for (const owner of blocked) {
    await change(world, ofOwner(world, owner), "revoked_at = now(), revocation_reason = 'OwnerBlocked'");
  }
  return `revoke the tokens of ${blocked.join(", ") || "nobody"}`;
}

async function lift({ databaseUrl, oracle, random }: VerifierWorld): Promise<string> {
  const blocked = OWNERS.filter((owner) => oracle.blockOf(owner).latest < Number.POSITIVE_INFINITY);
  if (blocked.length === 0) return "lift no block";
  const owner = random.pick(blocked);
  const begunAtMs = nowMs();
  const settle = oracle.blockOf(owner).begin(Number.POSITIVE_INFINITY, begunAtMs);
  await runAsSuperuser(databaseUrl, "delete from apitoken.blocked_owners where owner = $1", [owner]);
  settle(nowMs());
  return `lift the block on ${owner}`;
}

/** The next tokens have a pepper that no verifier knows; then both learn it. */
async function rotatePepper(world: VerifierWorld): Promise<string> {
  world.keyring = { ...world.keyring, peppers: [createKey("p"), ...world.keyring.peppers] };
  await issueFor(world, world.random.pick(OWNERS));
  await world.pass(300);
  for (const verifier of world.verifiers) verifier.writeKeyring(world.keyring);
  return "rotate the pepper";
}

/** It needs a verifier whose database answers. */
export const END_BY_HOLDER = onToken("end as its holder", endByHolder);

/** The operations, and how often each is chosen. */
export const OPERATIONS: readonly (readonly [weight: number, operation: Operation])[] = [
  [20, issue],
  [10, onToken("revoke", (world, token) => change(world, [token], "revoked_at = now()"))],
  [10, onToken("rotate", rotate)],
  [
    4,
    onToken("move the end of", (world, token) => change(world, [token], "revoked_at = now() + interval '3 seconds'")),
  ],
  [4, onToken("prolong", (world, token) => change(world, [token], "expires_at = expires_at + interval '2 seconds'"))],
  [6, onToken("supersede by another than", supersede)],
  [4, onToken("delete", remove)],
  [4, END_BY_HOLDER],
  [8, block],
  [6, sweep],
  [8, lift],
  [4, rotatePepper],
];
