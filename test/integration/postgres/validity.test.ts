import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, openDatabase, type Queryable } from "../../../src/postgres/database.ts";
import { countEndedInUse } from "../../../src/postgres/ended-tokens.ts";
import { findRecordedBlocks } from "../../../src/postgres/examination.ts";
import { findKeyUses } from "../../../src/postgres/keys.ts";
import { countOwnerTokens } from "../../../src/postgres/owner-blocks.ts";
import { countOwnersOver } from "../../../src/postgres/owners.ts";
import { revokeAllTokens } from "../../../src/postgres/revoke-all.ts";
import { type PostgresTime, toDate } from "../../../src/postgres/time.ts";
import { findAcceptedResources, findResourceTokens } from "../../../src/postgres/tokens.ts";
import { acceptedUntil, isAccepted, isCurrent, isInGrace, isLive } from "../../../src/token/validity.ts";
import { createTestDatabase } from "../../support/database.ts";
import { changeAsRestore, insertTokenRows } from "../../support/token-rows.ts";

let url: string;
let db: Database;
beforeAll(async () => {
  url = await createTestDatabase();
  db = openDatabase({ url, role: "apitoken_verifier", actor: "test", maxConnections: 1 });
});
afterAll(() => db?.close());

/** The cluster of the rows that `insertTokenRows` makes. */
const CLUSTER = "11111111-1111-4111-8111-111111111111";

const CLAIM = {
  owner: "user-7",
  resourceUid: CLUSTER,
  createdAt: new Date("2026-01-01T00:00:00Z"),
  limit: { max: 1, onLimit: "Reject", scope: "Cluster" },
} as const;

interface Case {
  at: string;
  expires_at: string;
  revoked_at: string | null;
  grace_seconds: number | null;
}

interface Answer {
  expires_at: PostgresTime;
  revoked_at: PostgresTime | null;
  accepted_until: PostgresTime;
  is_live: boolean;
  is_in_grace: boolean;
  is_accepted: boolean;
  is_current: boolean;
}

/** Most times differ by nothing, by milliseconds or by seconds, as long as the shortest graces. */
const time = fc.oneof(
  { arbitrary: fc.integer({ min: -3, max: 3 }).map((ms) => Date.UTC(2026, 2, 29, 1) + ms), weight: 4 },
  {
    arbitrary: fc.integer({ min: -3, max: 3 }).map((seconds) => Date.UTC(2026, 2, 29, 1) + seconds * 1_000),
    weight: 4,
  },
  { arbitrary: fc.integer({ min: -1e12, max: 1e12 }), weight: 1 },
);
const text = time.map((ms) => new Date(ms).toISOString());
const endOr = (...others: string[]) =>
  fc.oneof({ arbitrary: text, weight: 8 }, { arbitrary: fc.constantFrom(...others), weight: 1 });
/** Around the last Date of JavaScript, and up to the last moment of Postgres, to which no grace can be added. */
const FAR_ENDS = [
  "275760-09-12 23:59:59.999Z",
  "275760-09-13 00:00:01Z",
  "293999-12-31 23:59:59Z",
  "294000-01-01 00:00:00Z",
  "294276-12-31 23:59:59Z",
  "infinity",
];
const arbitraryCase: fc.Arbitrary<Case> = fc.record({
  at: text,
  expires_at: endOr(...FAR_ENDS),
  revoked_at: fc.option(endOr(...FAR_ENDS, "-infinity")),
  grace_seconds: fc.option(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 2 ** 31 - 1 }))),
});

/** Postgres' answers to all cases, in a single round trip. */
const ask = (cases: readonly Case[]) =>
  db.query<Answer & Record<string, unknown>>({
    text: `select t.expires_at, t.revoked_at, apitoken.accepted_until(t) as accepted_until,
            apitoken.is_live(t, c.at) as is_live, apitoken.is_in_grace(t, c.at) as is_in_grace,
            apitoken.is_accepted(t, c.at) as is_accepted, apitoken.is_current(t, c.at) as is_current
     from unnest($1::timestamptz[], $2::timestamptz[], $3::timestamptz[], $4::integer[]) with ordinality
            as c (at, expires_at, revoked_at, grace_seconds, number),
          jsonb_populate_record(null::apitoken.tokens, to_jsonb(c) - 'at') as t
     order by c.number`,
    values: [
      cases.map(({ at }) => at),
      cases.map(({ expires_at }) => expires_at),
      cases.map(({ revoked_at }) => revoked_at),
      cases.map(({ grace_seconds }) => grace_seconds),
    ],
  });

test("live, in grace, accepted and current mean the same in SQL and in TypeScript", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryCase, { minLength: 1, maxLength: 1_000, size: "max" }), async (cases) => {
      const answers = await ask(cases);
      const expected = answers.map(({ expires_at, revoked_at }, index) => {
        const { at, grace_seconds } = cases[index] as Case;
        const token = {
          expiresAt: toDate(expires_at),
          revokedAt: revoked_at === null ? undefined : toDate(revoked_at),
          grace: grace_seconds === null ? undefined : { periodMs: grace_seconds * 1_000, scopes: [] },
        };
        const now = new Date(at);
        const words = {
          is_live: isLive(token, now),
          is_in_grace: isInGrace(token, now),
          is_accepted: isAccepted(token, now),
          is_current: isCurrent(token, now),
        };
        expect(words.is_accepted).toBe(words.is_live || words.is_in_grace);
        seen.add(Object.values(words).join());
        return { ...words, acceptedUntil: acceptedUntil(token) };
      });
      const found = answers.map(({ is_live, is_in_grace, is_accepted, is_current, accepted_until }) => ({
        ...{ is_live, is_in_grace, is_accepted, is_current },
        acceptedUntil: toDate(accepted_until),
      }));
      expect(found).toEqual(expected);
    }),
    { numRuns: 20 },
  );
  expect(seen.size, "cases met: dead, in grace, live with an end set, current").toBe(4);
});

describe("Postgres inlines the words, and an index finds the rows", () => {
  beforeAll(async () => {
    await insertTokenRows(url, [
      { count: 20_000, prefix: "expired", expires: "-8 days" },
      { count: 20_000, prefix: "revoked", expires: "10 days", revoked: "-8 days" },
      { count: 100, prefix: "live", expires: "20 days" },
      { count: 100, prefix: "graced", expires: "-9 days" },
    ]);
    await changeAsRestore(url, "update apitoken.tokens set grace_seconds = 864000 where name like 'graced-%'");
    await runAsSuperuser(url, "analyze apitoken.tokens");
  });

  const explain = async (on: Database, statement: string, values: readonly unknown[] = []) => {
    const text = `explain (verbose, costs off) ${statement}`;
    const rows = await on.query<{ "QUERY PLAN": string }>({ text, values });
    return rows.map((row) => row["QUERY PLAN"]).join("\n");
  };
  const CALL = /(is_live|is_in_grace|is_accepted|is_current|accepted_until|grace_end)\(/;

  test.each([
    ["the live tokens of an owner", "owner = 'user-7' and apitoken.is_live(t, now())", ["tokens_owner"]],
    ["the current tokens of an owner", "owner = 'user-7' and apitoken.is_current(t, now())", ["tokens_owner"]],
    [
      "the accepted tokens of an ApiToken",
      `cluster_id = '${CLUSTER}' and namespace = 'team-7' and name = 'live-7'
       and apitoken.is_accepted(t, now())`,
      ["tokens_resource"],
    ],
    ["a few that are live", "apitoken.is_live(t, now() + interval '15 days')", ["tokens_expires_at"]],
    [
      "a few that are not",
      "not apitoken.is_live(t, now() - interval '8 days 12 hours')",
      ["tokens_expires_at", "tokens_revoked_at"],
    ],
  ])("%s", async (_, condition, indexes) => {
    const plan = await explain(db, `select id from apitoken.tokens t where ${condition}`);
    for (const index of indexes) expect(plan).toContain(index);
    expect(plan).not.toMatch(CALL);
    expect(plan).not.toContain("Seq Scan");
  });

  test.each<[string, (on: Queryable) => Promise<unknown>]>([
    ["reads for a pass", (on) => findResourceTokens(on, CLUSTER, { namespace: "team-7", name: "live-7" }, CLAIM)],
    ["finds ApiTokens with a live token", (on) => findAcceptedResources(on, CLUSTER)],
    ["counts what an owner has", (on) => countOwnerTokens(on, "user-7", 1)],
    ["reads the OwnerBlocks of a cluster", (on) => findRecordedBlocks(on, CLUSTER)],
    ["counts owners with many tokens", (on) => countOwnersOver(on, CLUSTER, [10, 50])],
    ["finds the keys in use", (on) => findKeyUses(on, CLUSTER)],
    ["counts ended tokens in use", (on) => countEndedInUse(on, CLUSTER)],
    ["revokes all tokens", (on) => revokeAllTokens(on, { clusterId: CLUSTER, epoch: "1" }, [], "Uninstalled")],
  ])("the statement that %s calls none of these functions", async (_, run) => {
    const controller = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 1 });
    const plans: string[] = [];
    const explainOnly: Queryable = {
      async query({ text, values = [] }) {
        plans.push(await explain(controller, text, values));
        return [];
      },
    };
    try {
      await run(explainOnly).catch(() => {}); // most of them throw if there is no answer
    } finally {
      await controller.close();
    }
    expect(plans.join()).toContain("on apitoken.tokens");
    expect(plans.join()).not.toMatch(CALL);
  });

  test("under row-level security, an index finds what the cleanup is to delete", async () => {
    const cleanup = openDatabase({ url, role: "apitoken_cleanup", actor: "test", maxConnections: 1 });
    try {
      const due = "expires_at <= now() - interval '8 days 12 hours'";
      const plan = await explain(cleanup, `select ctid from apitoken.tokens where ${due}`);
      expect(plan).toContain("tokens_expires_at");
      expect(plan).not.toMatch(CALL);
      expect(plan).not.toContain("Seq Scan");
    } finally {
      await cleanup.close();
    }
  });
});
