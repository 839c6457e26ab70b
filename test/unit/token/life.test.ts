import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DesiredToken } from "../../../src/token/model.ts";
import { isLive, liveUntil } from "../../../src/token/validity.ts";
import { aDesiredSecret, aDesiredToken, aResource, HOUR_MS, NOW } from "../../support/builders.ts";
import { aWorld } from "./a-world.ts";
import { anyAllowed, anyDesired } from "./any-world.ts";
import { expectSettled, heldRow, isRotating, liveRows, readyOf } from "./settled.ts";
import { ownSecrets, settle, type World } from "./world.ts";

const aNewWorld = (overrides: Partial<World> = {}) =>
  aWorld({ resource: aResource(), rows: [], secrets: {}, ...overrides });

const passTime = (world: World, ms: number) => {
  world.now = new Date(world.now.getTime() + ms);
};

/** The end of a row, if it is in the future. */
const endAhead = (world: World, id: string) => {
  const row = world.rows.find((each) => each.id === id);
  return row === undefined ? 0 : Math.max(liveUntil(row).getTime(), world.now.getTime());
};

describe("rotating for a year, with passes only when they are due", () => {
  test.each([[[]], [[0]], [[1]], [[2]], [[3]], [[1, 1, 1]]])("crashing after %j actions each time", (crashes) => {
    const world = aNewWorld();
    const yearAhead = NOW.getTime() + 365 * 24 * HOUR_MS;
    const watch = () => {
      if (world.rows.length > 1) expect(heldRow(world)).toBeDefined();
    };
    for (let passes = 0; world.now.getTime() < yearAhead; passes += 1) {
      const { requeueAt } = settle(world, { crashes, watch });
      const held = heldRow(world);
      const previous = liveRows(world).find((row) => row !== held);
      expect(readyOf(world)?.status).toBe("True");
      if (previous && held?.issuedAt.getTime() === world.now.getTime()) {
        expect(liveUntil(previous).getTime() - world.now.getTime()).toBe(HOUR_MS);
      }
      world.now = requeueAt as Date;
      expect(held && isLive(held, world.now)).toBe(true);
      expect(passes).toBeLessThan(400);
    }
    // The year has 8,760 hours; each token is renewed after 648 of its 720, or up to 7.2 later.
    expect(world.rows.map((row) => row.revision)).toEqual(world.rows.map((_, index) => index + 1));
    expect(world.rows.length).toBe(14);
    expect(world.rows.filter((row) => row.revocationReason === "Rotated").length).toBeGreaterThanOrEqual(12);
  });

  test("with any spec and policy, rotation leaves no gap", () => {
    fc.assert(
      fc.property(anyDesired, anyAllowed, fc.array(fc.nat(4), { maxLength: 3 }), (desired, policy, crashes) => {
        const world = aNewWorld({ spec: { desired: { ...desired, isRevoked: false, isSuspended: false } }, policy });
        fc.pre(isRotating(world));
        for (let passes = 0; passes < 12; passes += 1) {
          const { requeueAt } = settle(world, { crashes });
          if (readyOf(world)?.reason === "Inactive") return;
          expectSettled(world, world);
          const held = heldRow(world);
          world.now = requeueAt as Date;
          const timeoutMs = desired.inactivityTimeoutMs ?? Number.POSITIVE_INFINITY;
          if (timeoutMs === Number.POSITIVE_INFINITY) expect(held && isLive(held, world.now)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("use keeps a token alive", () => {
  const desired = aDesiredToken({ inactivityTimeoutMs: 100 * HOUR_MS });

  test("also across a rotation: the next token starts with the known use of the previous one", () => {
    const world = aNewWorld({ spec: { desired } });
    settle(world);
    for (let hours = 0; hours < 700; hours += 50) {
      passTime(world, 50 * HOUR_MS);
      const held = heldRow(world);
      world.rows = world.rows.map((row) => (row === held && hours < 650 ? { ...row, lastUsedAt: world.now } : row));
      settle(world);
    }
    expect(world.rows.map((row) => row.revision)).toEqual([1, 2]);
    expect(readyOf(world)?.reason).toBe("Rotated");
    passTime(world, 50 * HOUR_MS);
    settle(world);
    expect(readyOf(world)?.reason).toBe("Inactive");
    expect(liveRows(world)).toEqual([]);
  });

  test("and if nobody uses it, a rotation request yields another", () => {
    const world = aNewWorld({ spec: { desired } });
    settle(world);
    passTime(world, 100 * HOUR_MS);
    settle(world);
    expect(readyOf(world)?.reason).toBe("Inactive");
    world.resource = { ...aResource(world.resource), rotateRequestedAt: "now" };
    settle(world, { crashes: [1, 2] });
    expect(readyOf(world)?.reason).toBe("Rotated");
    expect(world.resource?.status.lastHandledRotateAt).toBe("now");
  });
});

/** What people and time do to an ApiToken, which settles after each. */
const DEEDS: Readonly<Record<string, (world: World) => void>> = {
  "an hour and a half goes by": (world) => passTime(world, 1.5 * HOUR_MS),
  "a month goes by": (world) => passTime(world, 700 * HOUR_MS),
  "the Secret is deleted": (world) => {
    world.secrets = {};
  },
  "a rotation is asked for": (world) => {
    world.resource = { ...aResource(world.resource), rotateRequestedAt: world.now.toISOString() };
    passTime(world, 60_000);
  },
  "all tokens are revoked with SQL": (world) => {
    world.rows = world.rows.map((row) => (isLive(row, world.now) ? { ...row, revokedAt: world.now } : row));
  },
  "the owner is blocked": (world) => {
    world.block = { reason: "left", effectiveAt: world.now };
  },
  "the block is lifted": (world) => {
    world.block = undefined;
  },
  "the Secret gets another name": (world) => wish(world, { secret: aDesiredSecret({ name: `demo${world.issued}` }) }),
  "the token is no longer to rotate": (world) =>
    wish(world, { rotation: { ...aDesiredToken().rotation, isAutomatic: false } }),
  "it is to end when nobody uses it": (world) => wish(world, { inactivityTimeoutMs: 200 * HOUR_MS }),
};

function wish(world: World, change: Partial<DesiredToken>): void {
  world.spec = { desired: { ...(world.spec.desired as DesiredToken), ...change } };
}

const anyDeeds = fc.array(fc.constantFrom(...Object.keys(DEEDS)), { maxLength: 6 });

function live(world: World, deeds: readonly string[]): void {
  settle(world);
  for (const deed of deeds) {
    DEEDS[deed]?.(world);
    passTime(world, 1_000);
    settle(world);
  }
}

describe("after a backup of the database is restored", () => {
  test("ended tokens stay ended, working ones keep working, and revisions only rise", () => {
    fc.assert(
      fc.property(anyDeeds, anyDeeds, fc.array(fc.nat(4), { maxLength: 3 }), (before, after, crashes) => {
        const world = aNewWorld();
        live(world, before);
        const backup = structuredClone(world.rows);
        live(world, after);
        const today = structuredClone(world);
        world.rows = backup;
        settle(world, { crashes });
        const held = heldRow(world);
        for (const { id } of backup.filter((row) => row.id !== held?.id)) {
          expect(endAhead(world, id)).toBeLessThanOrEqual(endAhead(today, id));
        }
        const known = heldRow(today);
        if (known && backup.some(({ id }) => id === known.id)) expect(held?.id).toBe(known.id);
        expect(world.resource?.status.revision).toBeGreaterThanOrEqual(today.resource?.status.revision ?? 0);
        expectSettled(world, today);
      }),
      { numRuns: 1_500 },
    );
  });

  test("one more token is issued if the backup lacks the one in use, and otherwise none", () => {
    const world = aNewWorld();
    live(world, ["an hour and a half goes by"]);
    const backup = structuredClone(world.rows);
    live(world, ["a rotation is asked for", "an hour and a half goes by"]);
    const issued = world.issued;
    world.rows = backup;
    settle(world);
    expect(world.issued).toBe(issued + 1);
    expect(liveRows(world).map((row) => row.revision)).toEqual([3]);
  });
});

test("after any changes it owns at most one Secret, which holds a working token if it is Ready", () => {
  fc.assert(
    fc.property(anyDeeds, (deeds) => {
      const world = aNewWorld();
      live(world, deeds);
      expect(ownSecrets(world).length).toBeLessThanOrEqual(1);
      expect(heldRow(world) !== undefined).toBe(readyOf(world)?.status === "True");
      expectSettled(world, world);
    }),
    { numRuns: 500 },
  );
});

test.each(["isSuspended", "cannot be read"])("an overlap runs to its end while the spec %s", (pause) => {
  const world = aNewWorld();
  live(world, ["an hour and a half goes by", "a rotation is asked for"]);
  const [first] = liveRows(world);
  const { spec } = world;
  world.spec = pause === "isSuspended" ? { desired: aDesiredToken({ isSuspended: true }) } : { problem: "no owner" };
  settle(world);
  world.spec = spec;
  settle(world);
  expect(liveRows(world)[0]).toEqual(first);
});
