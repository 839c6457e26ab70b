import { afterAll, beforeAll, expect, test } from "vitest";
import { conditionOf, connectCluster, readToken, type TestCluster } from "../support/cluster.ts";
import { isIdle, startTestController, type TestController } from "../support/controllers.ts";
import { createTestDatabase, findRows, verifies } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { createWriteTap, type Fault, type WriteTap } from "../support/faults.ts";

/** The same replica, started again: it need not wait for its own lease to run out. */
const identity = "replica";

let cluster: TestCluster;
let databaseUrl: string;

beforeAll(async () => {
  cluster = await connectCluster();
  databaseUrl = await createTestDatabase();
});
afterAll(() => cluster.close());

interface Scenario {
  readonly sentence: string;
  /** What happens while no controller runs. */
  readonly change: (name: string) => Promise<unknown>;
  /** Whether the ApiToken exists before the change. */
  readonly isNew?: boolean;
  readonly end: "live" | "revoked" | "gone";
  /** Where the token is in the end. */
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
  { sentence: "change of scopes", change: (name) => cluster.patch(name, { scopes: ["a:b"] }), end: "live" },
  {
    sentence: "change of labels",
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
  { sentence: "revoke", change: (name) => cluster.patch(name, { revoked: true }), end: "revoked" },
  { sentence: "delete", change: (name) => cluster.delete(name), end: "gone" },
];

/** More writes than any scenario makes; the loop ends with the first k that is not reached. */
const MOST_WRITES = 15;

const CASES = SCENARIOS.flatMap((scenario) =>
  (["crash", "lost reply"] as const).map((fault: Fault) => ({ ...scenario, fault })),
);

test.each(CASES)(
  "$sentence: a $fault at any write leaves what heals, and then there is nothing left to write",
  async ({ sentence, fault, ...scenario }) => {
    let reached = 0;
    for (let write = 1; write <= MOST_WRITES; write += 1) {
      const name = `${sentence.replaceAll(/[ ,]+/g, "-").toLowerCase()}-${fault.slice(0, 4)}-${write}`;
      await prepare(name, scenario);
      const tap = createWriteTap({ fault, write });
      await runUntilSettled(tap, name, scenario);
      if (!tap.hasFired) break;
      reached = write;

      const healer = createWriteTap();
      await runUntilSettled(healer, name, scenario);
      await expectEnd(name, scenario);
      const idler = createWriteTap();
      await runUntilSettled(idler, name, scenario);
      expect(withoutEpoch(idler.writes), `after a ${fault} at write ${write}`).toEqual([]);
    }
    expect(reached).toBeGreaterThanOrEqual(3);
    expect(reached).toBeLessThan(MOST_WRITES);
  },
  180_000,
);

/** Every start raises the epoch: that write is about the leader, not about an ApiToken. */
function withoutEpoch(writes: readonly string[]): string[] {
  return writes.filter((write) => !write.includes("leader_epoch"));
}

async function prepare(name: string, scenario: Pick<Scenario, "isNew" | "change">): Promise<void> {
  if (!scenario.isNew) {
    await cluster.apply(name, { owner: "alice" });
    await withController(createWriteTap(), async (controller) => {
      await eventually(async () => expect(conditionOf(await cluster.get(name), "Ready")?.status).toBe("True"));
      await eventually(() => isIdle(controller));
    });
  }
  await scenario.change(name);
}

/** Runs a controller until it is dead, or has come to the scenario's end and is idle. */
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

async function expectEnd(name: string, { end, secretName }: Pick<Scenario, "end" | "secretName">): Promise<void> {
  const rows = await findRows(databaseUrl, name);
  const live = rows.filter((row) => row.is_live);
  const secret = await cluster.getSecret(secretName?.(name) ?? name);
  const resource = await cluster.get(name);
  if (end === "live") {
    expect(live).toHaveLength(1);
    expect(await verifies(cluster, databaseUrl, readToken(secret))).toBe(true);
    expect(secret?.metadata.annotations?.["apitoken.dev/token-id"]).toBe(live[0]?.id);
    expect(resource?.status?.tokenId).toBe(live[0]?.id);
    expect(conditionOf(resource, "Ready")?.status).toBe("True");
    expect(resource?.status?.observedGeneration).toBe(resource?.metadata.generation);
    if (secretName) expect(await cluster.getSecret(name)).toBeUndefined();
  } else {
    expect(live).toEqual([]);
    expect(secret).toBeUndefined();
    if (end === "gone") expect(resource).toBeUndefined();
    else expect(conditionOf(resource, "Ready")?.reason).toBe("RevokedBySpec");
  }
}
