import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { conditionOf, connectCluster, readToken, type TestCluster } from "../../support/cluster.ts";
import { isIdle, startTestController, type TestController } from "../../support/controllers.ts";
import { createTestDatabase, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap, type Fault, type WriteTap } from "../../support/faults.ts";
import { type ClusterResources, createClusterResources } from "../../support/policies.ts";

/** The same replica, started again, so that it need not wait for its own lease to expire. */
const identity = "replica";

let cluster: TestCluster;
let databaseUrl: string;
let resources: ClusterResources;

beforeAll(async () => {
  cluster = await connectCluster();
  resources = createClusterResources(cluster);
  databaseUrl = await createTestDatabase();
});
afterEach(() => resources.clear());
afterAll(() => cluster.close());

interface Scenario {
  readonly sentence: string;
  /** What happens while no controller runs. */
  readonly change: (name: string) => Promise<unknown>;
  /** Whether the ApiToken exists before the change. */
  readonly isNew?: boolean;
  readonly end: "live" | "rotated" | "revoked" | "blocked" | "superseded" | "gone";
  /** The final state of the token. */
  readonly secretName?: (name: string) => string;
}

const secretPath = (name: string) => `/api/v1/namespaces/${cluster.namespace}/secrets/${name}`;

const SCENARIOS: readonly Scenario[] = [
  { sentence: "create", isNew: true, change: (name) => cluster.apply(name, { owner: "alice" }), end: "live" },
  {
    sentence: "create, clamped",
    isNew: true,
    change: (name) => cluster.apply(name, { owner: "alice", duration: "9000h" }),
    end: "live",
  },
  { sentence: "scopes changed", change: (name) => cluster.patch(name, { scopes: ["a:b"] }), end: "live" },
  {
    sentence: "labels changed",
    change: (name) => cluster.patch(name, { secret: { labels: { team: "a" } } }),
    end: "live",
  },
  {
    sentence: "Secret deleted",
    change: (name) => cluster.transport.request("DELETE", secretPath(name)),
    end: "live",
  },
  {
    sentence: "Secret edited",
    change: (name) =>
      cluster.transport.request("PATCH", secretPath(name), {
        contentType: "application/merge-patch+json",
        body: { data: { token: "AAAA" } },
      }),
    end: "live",
  },
  {
    sentence: "Secret renamed",
    change: (name) => cluster.patch(name, { secret: { name: `${name}-new` } }),
    end: "live",
    secretName: (name) => `${name}-new`,
  },
  {
    sentence: "rotate",
    change: (name) => cluster.annotate(name, { "apitoken.dev/rotate-requested-at": "now" }),
    end: "rotated",
  },
  {
    sentence: "templates changed",
    change: (name) => cluster.patch(name, { secret: { data: { header: "Bearer ${token}" } } }),
    end: "live",
  },
  {
    sentence: "block",
    change: (name) => resources.applyBlock(name, { owner: `owner-of-${name}` }),
    end: "blocked",
  },
  {
    sentence: "supersede",
    change: async (name) => {
      await resources.applyPolicy("one", { maxTokensPerOwner: 1 });
      await cluster.apply(`${name}-newer`, { owner: `owner-of-${name}` });
      await makeOlder(name);
    },
    end: "superseded",
  },
  { sentence: "revoke", change: (name) => cluster.patch(name, { revoked: true }), end: "revoked" },
  { sentence: "delete", change: (name) => cluster.delete(name), end: "gone" },
];

/** More writes than any scenario makes; the loop ends at the first k that is not reached. */
const MOST_WRITES = 15;

const CASES = SCENARIOS.flatMap((scenario) =>
  (["crash", "lost reply"] as const).map((fault: Fault) => ({ ...scenario, fault })),
);

test.each(CASES)(
  "$sentence: a $fault at any write heals, and then nothing is left to write",
  async ({ sentence, fault, ...scenario }) => {
    let reached = 0;
    for (let write = 1; write <= MOST_WRITES; write += 1) {
      const name = `${sentence.replaceAll(/[ ,]+/g, "-").toLowerCase()}-${fault.slice(0, 4)}-${write}`;
      await prepare(name, scenario);
      const tap = createWriteTap({ fault, write });
      await runUntilSettled(tap, name, scenario);
      if (!tap.hasFired) break;
      await expectNoDeadSecret(name, scenario);
      reached = write;

      const healer = createWriteTap();
      await runUntilSettled(healer, name, scenario);
      await expectEnd(name, scenario);
      const idler = createWriteTap();
      await runUntilSettled(idler, name, scenario);
      expect(idler.writes.filter(isOfTheScenario), `after a ${fault} at write ${write}`).toEqual([]);
    }
    expect(reached).toBeGreaterThanOrEqual(2);
    expect(reached).toBeLessThan(MOST_WRITES);
  },
  180_000,
);

/** A policy's status is written when its numbers change, in its own time and for the whole cluster, so for other tests, too. */
const isOfTheScenario = (write: string) => !/apitokenpolicies\/[^/]+\/status$/.test(write);

async function prepare(name: string, scenario: Pick<Scenario, "isNew" | "change">): Promise<void> {
  if (!scenario.isNew) {
    await cluster.apply(name, { owner: `owner-of-${name}` });
    await withController(createWriteTap(), async (controller) => {
      await eventually(async () => expect(conditionOf(await cluster.get(name), "Ready")?.status).toBe("True"));
      await eventually(() => isIdle(controller));
    });
  }
  await scenario.change(name);
}

/** Runs a controller until it is dead, or has finished the scenario and is idle. */
async function runUntilSettled(tap: WriteTap, name: string, scenario: Pick<Scenario, "end" | "secretName">) {
  await withController(tap, (controller) =>
    eventually(
      async () => {
        if (tap.isDead) return;
        await expectEnd(name, scenario);
        expect(await isIdle(controller)).toBe(true);
      },
      { timeoutMs: 30_000 },
    ),
  );
}

async function withController(tap: WriteTap, use: (controller: TestController) => Promise<unknown>): Promise<void> {
  const controller = await startTestController(cluster, databaseUrl, {
    identity,
    wrapTransport: tap.wrapTransport,
    wrapDatabase: tap.wrapDatabase,
  });
  try {
    await use(controller);
  } finally {
    await controller.stop();
  }
}

/** A consumer may read the Secret after the crash, so the row comes before it, and the previous token ends after it. */
async function expectNoDeadSecret(
  name: string,
  { end, secretName }: Pick<Scenario, "end" | "secretName">,
): Promise<void> {
  if (end !== "live" && end !== "rotated") return;
  const secret = await cluster.getSecret(secretName?.(name) ?? name);
  if (secret === undefined) return;
  const live = (await findRows(databaseUrl, name)).filter((row) => row.is_live);
  expect(live.map(({ id }) => id)).toContain(secret.metadata.annotations?.["apitoken.dev/token-id"]);
}

async function expectEnd(name: string, { end, secretName }: Pick<Scenario, "end" | "secretName">): Promise<void> {
  const live = (await findRows(databaseUrl, name)).filter((row) => row.is_live);
  const secret = await cluster.getSecret(secretName?.(name) ?? name);
  const resource = await cluster.get(name);
  if (end === "live" || end === "rotated") {
    // A token whose end is already set is the previous one, in its overlap.
    const [current, ...others] = live.filter((row) => row.revoked_at === null);
    expect(others).toEqual([]);
    expect(live.length).toBeLessThanOrEqual(2);
    expect(await verifies(cluster, databaseUrl, readToken(secret))).toBe(true);
    expect(secret?.metadata.annotations?.["apitoken.dev/token-id"]).toBe(current?.id);
    expect(resource?.status?.tokenId).toBe(current?.id);
    expect(conditionOf(resource, "Ready")?.status).toBe("True");
    expect(resource?.status?.observedGeneration).toBe(resource?.metadata.generation);
    if (end === "rotated") {
      expect(resource?.status).toMatchObject({ revision: 2, lastHandledRotateAt: "now" });
      expect(live).toHaveLength(2);
    }
    if (secretName) expect(await cluster.getSecret(name)).toBeUndefined();
    return;
  }
  expect(live).toEqual([]);
  expect(secret).toBeUndefined();
  if (end === "gone") expect(resource).toBeUndefined();
  else expect(conditionOf(resource, "Ready")?.reason).toBe(REASONS[end]);
  if (end === "superseded") {
    const newer = (await findRows(databaseUrl, `${name}-newer`)).filter((row) => row.is_live);
    expect(newer).toHaveLength(1);
    expect(conditionOf(await cluster.get(`${name}-newer`), "Ready")?.status).toBe("True");
  }
}

const REASONS = { revoked: "RevokedBySpec", blocked: "OwnerBlocked", superseded: "Superseded" } as const;

/** Creation times are whole seconds, and within one second the uid decides. So this makes the row older. */
async function makeOlder(name: string): Promise<void> {
  await runAsSuperuser(
    databaseUrl,
    "update apitoken.tokens set resource_created_at = resource_created_at - interval '1 hour' where name = $1",
    [name],
  );
}
