import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { statusOfFailure } from "../../../src/token/failure.ts";
import type { DesiredToken, TokenRow } from "../../../src/token/model.ts";
import type { Action } from "../../../src/token/plan/action.ts";
import type { Reason } from "../../../src/token/reasons.ts";
import { liveUntil } from "../../../src/token/validity.ts";
import {
  aDesiredSecret,
  aDesiredToken,
  aResource,
  HOUR_MS,
  LIMITS,
  NOW,
  REJECTING,
  RESOURCE_UID,
} from "../../support/builders.ts";
import { aWorld, inSecret, token } from "./a-world.ts";
import { anyWorld } from "./any-world.ts";
import { expectSettled, heldRow, isRotating, liveRows, readyOf } from "./settled.ts";
import { endFor, look, ownSecrets, planFor, settle, type World } from "./world.ts";

/** Reasons for which a token is ended before its expiry. */
const ENDS: readonly string[] = [
  "RevokedBySpec",
  "OwnerBlocked",
  "PolicyDenied",
  "Superseded",
  "Inactive",
  "OwnerLimitExceeded",
];

/** What must hold after every single action, because the next one may never happen. */
function watchSteps(world: World): (action: Action) => void {
  const before = structuredClone(world);
  const given = new Map(before.rows.map((row) => [row.id, row.expiresAt.getTime()]));
  const isKept = before.resource && !before.resource.isDeleting;
  let held = isKept ? heldRow(before) : undefined;
  return (action) => {
    for (const [name, secret] of Object.entries(before.secrets)) {
      if (secret.owner === "somebody") expect(world.secrets[name]).toEqual(secret);
    }
    for (const row of world.rows) expectWithinMaximum(world, row, given);
    if (action.kind === "writeSecret") expect(heldRow(world)?.id).toBe(world.inHand);
    if (action.kind === "rewriteSecret") expect(heldRow(world)?.id).toBe(action.tokenId);
    const next = heldRow(world);
    const isEnded = action.kind === "revokeTokens" && ENDS.includes(action.reason);
    if (held && !next && !isEnded && !isOver(world, held)) throw new Error(`${held.id} is lost by ${action.kind}`);
    held = next;
  };
}

function expectWithinMaximum({ policy }: World, row: TokenRow, given: ReadonlyMap<string, number>): void {
  if (given.get(row.id) === row.expiresAt.getTime()) return;
  if (policy.applied === undefined) throw new Error(`${row.id} was issued or changed, and no policy allows it`);
  expect(row.expiresAt.getTime()).toBeLessThanOrEqual(row.issuedAt.getTime() + policy.applied.lifetime.maxMs);
}

/** Whether time alone has ended it, or a shortened lifetime without a next token. */
function isOver(world: World, token: TokenRow): boolean {
  if (liveUntil(token) <= world.now) return true;
  return world.policy.kind === "allowed" && !isRotating(world) && endFor(world, token.issuedAt) <= world.now;
}

const anyCrashes = fc.array(fc.nat(6), { maxLength: 6 });
const anyPauses = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(100 * HOUR_MS)), { maxLength: 6 });

describe("from any state, crashing anywhere", () => {
  test("it converges to what spec and policy require, and then does nothing", () => {
    fc.assert(
      fc.property(anyWorld, anyCrashes, anyPauses, (world, crashes, pausesMs) => {
        const before = structuredClone(world);
        settle(world, { crashes, pausesMs });
        expectSettled(world, before);
        expect(planFor(world).actions).toEqual([]);
      }),
      { numRuns: 4_000 },
    );
  });

  test("no step touches a foreign Secret, exceeds the maximum, or removes a working token", () => {
    fc.assert(
      fc.property(anyWorld, anyCrashes, anyPauses, (world, crashes, pausesMs) => {
        settle(world, { crashes, pausesMs, watch: watchSteps(world) });
      }),
      { numRuns: 4_000 },
    );
  });
});

test("the same input yields the same plan, which does not change the input", () => {
  fc.assert(
    fc.property(anyWorld, (world) => {
      const copy = structuredClone(world);
      expect(planFor(world)).toEqual(planFor(copy));
      expect(world).toEqual(copy);
    }),
  );
});

test("when the next pass is due, something has changed, or may have changed without an event", () => {
  const unseen: readonly (Reason | undefined)[] = ["SecretConflict", "OwnerLimitExceeded"];
  fc.assert(
    fc.property(anyWorld, (world) => {
      const { requeueAt, status, mustRecheck = false } = settle(world);
      const { reason } = readyOf(world) ?? {};
      if (mustRecheck) expect(unseen).toContain(reason);
      if (requeueAt === undefined) {
        expect(["Issued", "Rotated"]).not.toContain(reason);
        return;
      }
      const aheadMs = requeueAt.getTime() - world.now.getTime();
      expect(aheadMs).toBeGreaterThan(0);
      const isOverlap = status?.previous !== undefined && reason !== "Suspended";
      if (isOverlap) expect(aheadMs).toBeLessThanOrEqual(5 * 60_000);
      world.now = requeueAt;
      settle(world);
      if (!isOverlap) expect(planFor(world).status).not.toEqual(status);
    }),
    { numRuns: 2_000 },
  );
});

test.each(["Superseded", "Inactive"] as const)(
  "what is %s stays that way, regardless of time, cleanup and outages",
  (reason) => {
    fc.assert(
      fc.property(anyWorld, anyCrashes, fc.nat(2_000), fc.boolean(), (world, crashes, hours, isCleanedUp) => {
        settle(world);
        fc.pre(readyOf(world)?.reason === reason && world.resource?.isDeleting === false);
        world.rivals = { older: 0, newer: 0 };
        world.now = new Date(world.now.getTime() + hours * HOUR_MS);
        if (isCleanedUp) world.rows = [];
        const resource = world.resource as NonNullable<World["resource"]>;
        const outage = { reason: "DatabaseUnavailable", message: "away" } as const;
        const status = statusOfFailure(resource, outage, { failures: 1, seen: undefined, now: world.now });
        world.resource = { ...resource, status: status ?? resource.status };
        settle(world, { crashes });
        if (world.block === undefined) expect(readyOf(world)?.reason).toBe(reason);
        expect(liveRows(world)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  },
);

describe("killed after any number of actions, twice", () => {
  const status = { tokenId: token.id, revision: 1 };
  const dueAt = new Date(NOW.getTime() + 719 * HOUR_MS - HOUR_MS);
  const withSecret = (secret: Parameters<typeof aDesiredSecret>[0]) => ({
    spec: { desired: aDesiredToken({ secret: aDesiredSecret(secret) }) },
  });

  test.each<[string, Partial<World>, { rows: number; live: number }]>([
    ["a new ApiToken gets one row", { resource: aResource(), rows: [], secrets: {} }, { rows: 1, live: 1 }],
    ["a converged one keeps its row", {}, { rows: 1, live: 1 }],
    ["a deleted Secret is answered with one row more", { secrets: {} }, { rows: 2, live: 2 }],
    ["so is an edited one", { secrets: { demo: { ...inSecret, value: "edited" } } }, { rows: 2, live: 2 }],
    ["so is a token that is due", { now: dueAt }, { rows: 2, live: 2 }],
    [
      "so is a request for a rotation",
      { resource: aResource({ status, rotateRequestedAt: "now" }) },
      { rows: 2, live: 2 },
    ],
    ["another Secret name has the token move", withSecret({ name: "renamed" }), { rows: 1, live: 1 }],
    ["so has another key", withSecret({ key: "password" }), { rows: 1, live: 1 }],
    ["so have templates", withSecret({ data: { header: "Bearer ${token}" } }), { rows: 1, live: 1 }],
    ["a row that somebody deleted is answered with a row", { rows: [] }, { rows: 1, live: 1 }],
    [
      "a revoked one keeps its row, dead",
      { spec: { desired: aDesiredToken({ isRevoked: true }) } },
      { rows: 1, live: 0 },
    ],
    ["so does one of a blocked owner", { block: { reason: "left", effectiveAt: NOW } }, { rows: 1, live: 0 }],
    ["so does one that is forbidden", { policy: { kind: "denied", name: "p", rule: "r" } }, { rows: 1, live: 0 }],
    ["so does one that is superseded", { rivals: { older: 0, newer: 1 } }, { rows: 1, live: 0 }],
    ["so does one over the limit", { rivals: { older: 1, newer: 0 }, policy: REJECTING }, { rows: 1, live: 0 }],
    [
      "so does one that nobody uses",
      { spec: { desired: aDesiredToken({ inactivityTimeoutMs: HOUR_MS }) } },
      { rows: 1, live: 0 },
    ],
    ["so does a deleted one", { resource: aResource({ isDeleting: true }) }, { rows: 1, live: 0 }],
    [
      "so does a deleted one that leaves its Secret",
      { resource: aResource({ isDeleting: true }), ...withSecret({ isRetained: true }) },
      { rows: 1, live: 0 },
    ],
    ["so does one that another ApiToken has left", { resource: undefined }, { rows: 1, live: 0 }],
    ["without a policy it keeps its row, live", { policy: { kind: "missing" } }, { rows: 1, live: 1 }],
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

test("an ApiToken's life: issued, shortened, renamed, drifted, rotated, blocked, unblocked, revoked, deleted", () => {
  const world = aWorld({ resource: aResource(), rows: [], secrets: {} });
  const change = (desired: Partial<DesiredToken>, hours = 0) => {
    world.now = new Date(world.now.getTime() + hours * HOUR_MS);
    world.spec = { desired: { ...(world.spec.desired ?? aDesiredToken()), ...desired } };
    settle(world);
    return [readyOf(world)?.reason, liveRows(world).map((row) => row.revision)];
  };
  expect(change({})).toEqual(["Issued", [1]]);
  expect(change({ lifetime: { kind: "duration", durationMs: 24 * HOUR_MS } })).toEqual(["Issued", [1]]);
  expect(change({ secret: aDesiredSecret({ name: "renamed" }) })).toEqual(["Issued", [1]]);
  expect(ownSecrets(world)).toEqual(["renamed"]);
  world.secrets = {};
  expect(change({})).toEqual(["Rotated", [1, 2]]);
  expect(change({}, 1)).toEqual(["Rotated", [2]]);
  expect(change({}, 22)).toEqual(["Rotated", [2, 3]]);
  world.block = { reason: "left", effectiveAt: world.now };
  expect(change({})).toEqual(["OwnerBlocked", []]);
  world.block = undefined;
  expect(change({})).toEqual(["Rotated", [4]]);
  expect(change({ rotation: { ...aDesiredToken().rotation, isAutomatic: false } }, 24)).toEqual(["Expired", []]);
  expect(change({ lifetime: { kind: "duration", durationMs: 48 * HOUR_MS } })).toEqual(["Rotated", [5]]);
  expect(change({ isRevoked: true })).toEqual(["RevokedBySpec", []]);
  world.resource = { ...aResource(world.resource), isDeleting: true };
  expect(change({})).toEqual([undefined, []]);
  expect(look(world).resource).toBeUndefined();
  expect(world.rows.map((row) => row.resourceUid)).toEqual(Array(5).fill(RESOURCE_UID));
  expect(world.rows.every((row) => row.expiresAt.getTime() <= row.issuedAt.getTime() + LIMITS.maxMs)).toBe(true);
});
