import fc from "fast-check";
import { expect, test } from "vitest";
import { isLive } from "../../../src/token/lifetime.ts";
import type {
  Action,
  DesiredToken,
  Observed,
  ObservedSecret,
  StraySecret,
  TokenRow,
} from "../../../src/token/model.ts";
import { plan } from "../../../src/token/plan.ts";
import { aDesiredToken, anObserved, aResource, aTokenRow, HOUR_MS, LIMITS, NOW } from "../../support/builders.ts";

/** The world as actions change it: an ApiToken, its rows and its Secrets. */
interface World {
  observed: Observed;
  desired: DesiredToken;
  /** The token that was issued in this pass; a crash forgets it. */
  inHand: string | undefined;
  issued: number;
}

/** Does to the world what `execute` does to the cluster and the database. */
function apply(world: World, action: Action): void {
  world.observed = { ...world.observed, ...describeChange(world, action) };
}

function describeChange(world: World, action: Action): Partial<Observed> {
  const { observed, desired } = world;
  switch (action.kind) {
    case "addFinalizer":
      return { resource: observed.resource && { ...observed.resource, hasFinalizer: true } };
    case "removeFinalizer":
      return { resource: undefined, secret: { state: "absent" }, straySecrets: [] };
    case "issueToken": {
      const { issuedAt, expiresAt, revision } = action;
      const own = observed.tokens.filter((token) => token.resourceUid === observed.resource?.uid);
      expect(own.map((token) => token.revision)).not.toContain(revision);
      world.inHand = `issued${world.issued++}`;
      return { tokens: [...observed.tokens, newRow(world.inHand, desired, { issuedAt, expiresAt, revision })] };
    }
    case "replaceToken": {
      const { issuedAt, expiresAt, tokenId } = action;
      world.inHand = `issued${world.issued++}`;
      const id = world.inHand;
      return {
        tokens: observed.tokens.map((token) =>
          token.id === tokenId ? newRow(id, desired, { issuedAt, expiresAt, revision: token.revision }) : token,
        ),
      };
    }
    case "updateToken": {
      const { owner, description, scopes } = desired;
      const { expiresAt } = action;
      return {
        tokens: observed.tokens.map((token) =>
          token.id === action.tokenId ? { ...token, owner, description, scopes, expiresAt } : token,
        ),
      };
    }
    case "revokeTokens":
      return {
        tokens: observed.tokens.map((token) =>
          action.tokenIds.includes(token.id)
            ? { ...token, revokedAt: observed.now, revocationReason: action.reason }
            : token,
        ),
      };
    case "writeSecret":
      expect(observed.secret.state).not.toBe("foreign");
      return { secret: { state: "ours", name: "demo", holds: world.inHand, isDecorated: true } };
    case "decorateSecret":
      return { secret: { ...(observed.secret as ObservedSecret & { state: "ours" }), isDecorated: true } };
    case "deleteSecret":
      if (action.name === "demo") {
        expect(observed.secret.state).toBe("ours");
        return { secret: { state: "absent" } };
      }
      return { straySecrets: observed.straySecrets.filter((stray) => stray.name !== action.name) };
  }
}

function newRow(id: string, { owner, description, scopes }: DesiredToken, rest: Partial<TokenRow>): TokenRow {
  return aTokenRow({ id, owner, description, scopes, ...rest });
}

const arbitraryRow = (revision: number) =>
  fc
    .record({
      issuedAtHours: fc.integer({ min: -800, max: -1 }),
      lifetimeHours: fc.integer({ min: 1, max: 720 }),
      revokedAtHours: fc.option(fc.integer({ min: -100, max: -1 }), { nil: undefined }),
      resourceUid: fc.constantFrom(aTokenRow().resourceUid, aTokenRow().resourceUid, "another"),
    })
    .map(({ issuedAtHours, lifetimeHours, revokedAtHours, resourceUid }) => {
      const issuedAt = new Date(NOW.getTime() + issuedAtHours * HOUR_MS);
      return aTokenRow({
        id: `row${revision}`,
        revision,
        resourceUid,
        issuedAt,
        expiresAt: new Date(issuedAt.getTime() + lifetimeHours * HOUR_MS),
        revokedAt: revokedAtHours === undefined ? undefined : new Date(NOW.getTime() + revokedAtHours * HOUR_MS),
      });
    });

const arbitraryLifetime = fc.oneof(
  fc.constant({ kind: "default" } as const),
  fc.integer({ min: 10_000, max: 2_000 * HOUR_MS }).map((durationMs) => ({ kind: "duration", durationMs }) as const),
  fc
    .integer({ min: -100, max: 2_000 })
    .map((hours) => ({ kind: "fixed", expiresAt: new Date(NOW.getTime() + hours * HOUR_MS) }) as const),
);

/** Any state that users, crashes and restored backups may leave behind. */
const arbitraryWorld = fc
  .record({
    rows: fc.tuple(arbitraryRow(1), arbitraryRow(2), arbitraryRow(3)),
    count: fc.integer({ min: 0, max: 3 }),
    holds: fc.constantFrom(undefined, "row1", "row2", "row3"),
    secret: fc.constantFrom("absent", "foreign", "ours"),
    isDecorated: fc.boolean(),
    strayHolds: fc.option(fc.constantFrom("row1", "row2"), { nil: undefined }),
    isDeleting: fc.boolean(),
    hasFinalizer: fc.boolean(),
    published: fc.constantFrom(undefined, "row1", "row2", "row3"),
    lifetime: arbitraryLifetime,
    isRevoked: fc.boolean(),
    isSuspended: fc.boolean(),
  })
  .map((parts): World => {
    const tokens = parts.rows.slice(0, parts.count);
    const mine = tokens.filter((token) => token.resourceUid === aTokenRow().resourceUid).map((token) => token.id);
    const known = (id: string | undefined) => (id !== undefined && mine.includes(id) ? id : undefined);
    const straySecrets: StraySecret[] = parts.strayHolds ? [{ name: "old", holds: known(parts.strayHolds) }] : [];
    const secret: ObservedSecret =
      parts.secret === "ours"
        ? { state: "ours", name: "demo", holds: known(parts.holds), isDecorated: parts.isDecorated }
        : { state: parts.secret as "absent" | "foreign" };
    const status = parts.published === undefined ? {} : { tokenId: parts.published };
    return {
      observed: anObserved({
        tokens,
        secret,
        straySecrets,
        resource: aResource({ isDeleting: parts.isDeleting, hasFinalizer: parts.hasFinalizer, status }),
      }),
      desired: aDesiredToken({
        lifetime: parts.lifetime,
        isRevoked: parts.isRevoked,
        isSuspended: parts.isSuspended,
      }),
      inHand: undefined,
      issued: 0,
    };
  });

/** Plans and acts until there is nothing left to do. `crashes` says after how many actions each pass dies. */
function settle(world: World, crashes: readonly number[]): void {
  const queue = [...crashes];
  for (let pass = 0; pass < 20; pass += 1) {
    const { actions, status } = plan({ desired: world.desired }, world.observed, LIMITS);
    if (actions.length === 0) {
      if (status && world.observed.resource) {
        world.observed = { ...world.observed, resource: { ...world.observed.resource, status } };
      }
      return;
    }
    world.inHand = undefined;
    const crashAfter = queue.shift() ?? actions.length;
    for (const action of actions.slice(0, crashAfter)) apply(world, action);
  }
  throw new Error("did not converge in 20 passes");
}

test("from any state, crashing anywhere, it converges to what the spec asks for and then does nothing", () => {
  fc.assert(
    fc.property(arbitraryWorld, fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 6 }), (world, crashes) => {
      const before = world.observed;
      settle(world, crashes);
      const { observed, desired } = world;
      const live = observed.tokens.filter((token) => isLive(token, observed.now));

      for (const token of live) {
        expect(token.expiresAt.getTime() - token.issuedAt.getTime()).toBeLessThanOrEqual(LIMITS.maxMs);
      }
      if (before.secret.state === "foreign" && observed.resource) expect(observed.secret).toEqual(before.secret);
      if (before.resource?.isDeleting || desired.isRevoked) expect(live).toEqual([]);
      if (before.resource?.isDeleting && before.resource.hasFinalizer) expect(observed.resource).toBeUndefined();
      if (observed.resource && !observed.resource.isDeleting && !desired.isRevoked && !desired.isSuspended) {
        expect(live.length).toBeLessThanOrEqual(1);
        const isReady = observed.resource.status.conditions?.[0]?.status === "True";
        expect(isReady).toBe(
          observed.secret.state === "ours" && live[0]?.id === observed.secret.holds && live.length > 0,
        );
      }
      expect(plan({ desired }, observed, LIMITS).actions).toEqual([]);
    }),
    { numRuns: 5_000 },
  );
});

test("the same input gives the same plan, and is not changed by it", () => {
  fc.assert(
    fc.property(arbitraryWorld, ({ observed, desired }) => {
      const copy = structuredClone(observed);
      expect(plan({ desired }, observed, LIMITS)).toEqual(plan({ desired }, copy, LIMITS));
      expect(observed).toEqual(copy);
    }),
  );
});
