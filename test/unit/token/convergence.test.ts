import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { endOf, isLive } from "../../../src/token/lifetime.ts";
import type { DesiredToken, TokenRow } from "../../../src/token/model.ts";
import { findCondition } from "../../../src/token/status.ts";
import { aDesiredToken, aResource, aTokenRow, HOUR_MS, LIMITS, NOW, RESOURCE_UID } from "../../support/builders.ts";
import { anyWorld } from "./any-world.ts";
import { decorationOf, endFor, look, ownSecrets, planFor, rowOf, settle, type World } from "./world.ts";

const liveRows = (world: World) => world.rows.filter((row) => isLive(row, world.now));

const readyOf = (world: World) => world.resource && findCondition(world.resource.status, "Ready");

/** The live row whose plaintext the wanted Secret has. */
function heldRow(world: World): TokenRow | undefined {
  const secret = world.secrets[world.spec.desired?.secret.name ?? ""];
  return liveRows(world).find(
    (row) => row.resourceUid === world.resource?.uid && secret?.owner === "us" && row.id === secret.value,
  );
}

/** What must hold after every single action, for the next one may never come. */
function watchSteps(world: World) {
  const before = structuredClone(world);
  const given = new Map(before.rows.map((row) => [row.id, row.expiresAt.getTime()]));
  const desired = before.spec.desired;
  const isKept = before.resource && !before.resource.isDeleting && desired && !desired.isRevoked;
  const held = isKept ? heldRow(before) : undefined;
  return () => {
    for (const [name, secret] of Object.entries(before.secrets)) {
      if (secret.owner === "somebody") expect(world.secrets[name]).toEqual(secret);
    }
    for (const row of world.rows) {
      const isChanged = given.get(row.id) !== row.expiresAt.getTime();
      if (isChanged) expect(row.expiresAt.getTime()).toBeLessThanOrEqual(row.issuedAt.getTime() + world.limits.maxMs);
    }
    const isDue = held && (endOf(held) <= world.now || endFor(world, held.issuedAt) <= world.now);
    if (held && !isDue) expect(heldRow(world)?.id).toBe(held.id);
  };
}

/** Compares a world that has settled with what its spec asks for, without asking the plan. */
function expectSettled(world: World, before: World): void {
  const { resource, spec, now } = world;
  const live = liveRows(world);
  if (resource === undefined || resource.isDeleting) {
    expect(live).toEqual([]);
    if (before.resource) expect(ownSecrets(world)).toEqual([]);
    if (before.resource?.hasFinalizer) expect(resource).toBeUndefined();
    return;
  }
  expect(live.filter((row) => row.resourceUid !== resource.uid)).toEqual([]);
  if (spec.desired === undefined || (spec.desired.isSuspended && !spec.desired.isRevoked)) {
    expect(readyOf(world)?.reason).toBe(spec.desired ? "Suspended" : "InvalidSpec");
    const own = (rows: TokenRow[]) => rows.filter((row) => row.resourceUid === resource.uid);
    expect(own(world.rows)).toEqual(own(before.rows));
    expect(world.secrets).toEqual(before.secrets);
  } else if (spec.desired.isRevoked) {
    expect(readyOf(world)).toMatchObject({ status: "False", reason: "RevokedBySpec" });
    expect(live).toEqual([]);
    expect(ownSecrets(world)).toEqual([]);
  } else if (world.secrets[spec.desired.secret.name]?.owner === "somebody") {
    expect(readyOf(world)).toMatchObject({ status: "False", reason: "SecretConflict" });
    const shown = ownSecrets(world).map((name) => world.secrets[name]);
    for (const row of live) expect(shown).toContainEqual(expect.objectContaining({ value: row.id }));
  } else if (readyOf(world)?.status === "True") {
    expectReady(world, spec.desired);
  } else {
    expect(readyOf(world)).toMatchObject({ status: "False", reason: "Expired" });
    expect(live).toEqual([]);
    const issuedAt = world.rows.filter((row) => row.resourceUid === resource.uid).at(-1)?.issuedAt;
    const { lifetime } = spec.desired;
    const isPast = lifetime.kind === "fixed" && lifetime.expiresAt <= now;
    const isLived = issuedAt !== undefined && endFor(world, issuedAt) <= now;
    expect(isPast || isLived || before.resource?.status.issuedAt !== undefined).toBe(true);
  }
}

/** Exactly one live token: as the spec says, in the Secret that it says, and nowhere else. */
function expectReady(world: World, desired: DesiredToken): void {
  const [token, ...others] = liveRows(world);
  if (token === undefined) throw new Error("Ready, but no token is live");
  expect(others).toEqual([]);
  expect(heldRow(world)).toBe(token);
  expect(token).toMatchObject({ ...rowOf(desired), expiresAt: endFor(world, token.issuedAt) });
  expect(ownSecrets(world)).toEqual([desired.secret.name]);
  expect(world.secrets[desired.secret.name]).toMatchObject({ decoration: decorationOf(token) });
  expect(world.resource).toMatchObject({ hasFinalizer: true, status: { tokenId: token.id, revision: token.revision } });
  expect(readyOf(world)?.reason).toBe(token.revision === 1 ? "Issued" : "Rotated");
}

const anyCrashes = fc.array(fc.nat(6), { maxLength: 6 });
const anyPauses = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(100 * HOUR_MS)), { maxLength: 6 });

describe("from any state, crashing anywhere", () => {
  test("it converges to what the spec asks for, and then does nothing", () => {
    fc.assert(
      fc.property(anyWorld, anyCrashes, anyPauses, (world, crashes, pausesMs) => {
        const before = structuredClone(world);
        settle(world, { crashes, pausesMs });
        expectSettled(world, before);
        expect(planFor(world).actions).toEqual([]);
      }),
      { numRuns: 5_000 },
    );
  });

  test("no step touches a foreign Secret, exceeds the maximum, or takes away a token that works", () => {
    fc.assert(
      fc.property(anyWorld, anyCrashes, anyPauses, (world, crashes, pausesMs) => {
        settle(world, { crashes, pausesMs, watch: watchSteps(world) });
      }),
      { numRuns: 5_000 },
    );
  });

  test("a Secret is never written but with a token that is live already", () => {
    fc.assert(
      fc.property(anyWorld, anyCrashes, (world, crashes) => {
        const watch = ({ kind }: { readonly kind: string }) => {
          if (kind === "writeSecret") expect(heldRow(world)?.id).toBe(world.inHand);
        };
        settle(world, { crashes, watch });
      }),
      { numRuns: 2_000 },
    );
  });
});

test("the same input gives the same plan, and is not changed by it", () => {
  fc.assert(
    fc.property(anyWorld, (world) => {
      const copy = structuredClone(world);
      expect(planFor(world)).toEqual(planFor(copy));
      expect(world).toEqual(copy);
    }),
  );
});

test("when it is time to look again there is something new to say", () => {
  fc.assert(
    fc.property(anyWorld, (world) => {
      settle(world);
      const { requeueAt, status } = planFor(world);
      const reason = readyOf(world)?.reason;
      if (requeueAt === undefined) {
        expect(["Issued", "Rotated", "SecretConflict"]).not.toContain(reason);
        return;
      }
      expect(requeueAt.getTime()).toBeGreaterThan(world.now.getTime());
      world.now = requeueAt;
      settle(world);
      if (reason !== "SecretConflict") expect(planFor(world).status).not.toEqual(status);
    }),
    { numRuns: 2_000 },
  );
});

const token = aTokenRow({ id: "row1" });
const inSecret = { owner: "us", value: token.id, decoration: decorationOf(token) } as const;

/** A world that has converged, but for what is said of it. */
function aWorld(overrides: Partial<World> = {}): World {
  return structuredClone({
    now: NOW,
    limits: LIMITS,
    spec: { desired: aDesiredToken() },
    resource: aResource({ status: { tokenId: token.id, revision: 1 } }),
    rows: [token],
    secrets: { demo: inSecret },
    inHand: undefined,
    issued: 0,
    ...overrides,
  });
}

describe("killed after every number of actions, twice over", () => {
  const renamed = aDesiredToken({ secret: { name: "renamed", key: "token", labels: {}, annotations: {} } });

  test.each<[string, Partial<World>, { rows: number; live: number }]>([
    ["a new ApiToken gets one row", { resource: aResource(), rows: [], secrets: {} }, { rows: 1, live: 1 }],
    ["a converged one keeps its row", {}, { rows: 1, live: 1 }],
    ["a deleted Secret is answered with one row more", { secrets: {} }, { rows: 2, live: 1 }],
    ["so is an edited one", { secrets: { demo: { ...inSecret, value: "edited" } } }, { rows: 2, live: 1 }],
    ["so is another Secret name", { spec: { desired: renamed } }, { rows: 2, live: 1 }],
    ["so is a row that somebody deleted", { rows: [] }, { rows: 1, live: 1 }],
    [
      "a revoked one keeps its row, dead",
      { spec: { desired: aDesiredToken({ isRevoked: true }) } },
      { rows: 1, live: 0 },
    ],
    ["so does a deleted one", { resource: aResource({ isDeleting: true }) }, { rows: 1, live: 0 }],
    ["so does one that another ApiToken has left", { resource: undefined }, { rows: 1, live: 0 }],
    [
      "an ApiToken that took over the name gets a row of its own",
      { resource: aResource({ uid: "22222222-2222-4222-8222-222222222222" }), secrets: {} },
      { rows: 2, live: 1 },
    ],
    [
      "a foreign Secret gets no row",
      { resource: aResource(), rows: [], secrets: { demo: { owner: "somebody" } } },
      { rows: 0, live: 0 },
    ],
  ])("%s", (_, given, expected) => {
    const most = planFor(aWorld(given)).actions.length + 1;
    for (let first = 0; first <= most; first += 1) {
      for (let second = 0; second <= 4; second += 1) {
        const world = aWorld(given);
        settle(world, { crashes: [first, second], watch: watchSteps(world) });
        expectSettled(world, aWorld(given));
        expect({ rows: world.rows.length, live: liveRows(world).length }).toEqual(expected);
      }
    }
  });
});

test("an ApiToken's life: issued, shortened, renamed, drifted, expired, extended, revoked, gone", () => {
  const world = aWorld({ resource: aResource(), rows: [], secrets: {} });
  const change = (desired: Partial<DesiredToken>) => {
    world.spec = { desired: { ...(world.spec.desired ?? aDesiredToken()), ...desired } };
    settle(world);
    return [readyOf(world)?.reason, liveRows(world).map((row) => row.revision)];
  };
  expect(change({})).toEqual(["Issued", [1]]);
  expect(change({ lifetime: { kind: "duration", durationMs: 24 * HOUR_MS } })).toEqual(["Issued", [1]]);
  expect(change({ secret: { name: "renamed", key: "token", labels: {}, annotations: {} } })).toEqual(["Rotated", [2]]);
  expect(ownSecrets(world)).toEqual(["renamed"]);
  world.secrets = {};
  expect(change({})).toEqual(["Rotated", [3]]);
  world.now = new Date(world.now.getTime() + 24 * HOUR_MS);
  expect(change({})).toEqual(["Expired", []]);
  expect(change({ lifetime: { kind: "duration", durationMs: 48 * HOUR_MS } })).toEqual(["Rotated", [4]]);
  expect(change({ isRevoked: true })).toEqual(["RevokedBySpec", []]);
  world.resource = { ...aResource(world.resource), isDeleting: true };
  expect(change({})).toEqual([undefined, []]);
  expect(look(world).resource).toBeUndefined();
  expect(world.rows.map((row) => row.resourceUid)).toEqual(Array(4).fill(RESOURCE_UID));
});
