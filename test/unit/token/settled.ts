/*
 * States what a settled world must look like, written independently of the plan, so that a mistake in a rule of the
 * plan is not repeated in its test.
 */
import { expect } from "vitest";
import type { AppliedPolicy, DesiredToken, TokenRow } from "../../../src/token/model.ts";
import { renewalTime } from "../../../src/token/rotation.ts";
import { findCondition, formatTime } from "../../../src/token/status.ts";
import { acceptedUntil, isAccepted, isLive } from "../../../src/token/validity.ts";
import { contentsOf, decorationOf, endFor, grantOf, needPolicy, ownSecrets, type World } from "./world.ts";

export const liveRows = (world: World) => world.rows.filter((row) => isLive(row, world.now));

export const acceptedRows = (world: World) => world.rows.filter((row) => isAccepted(row, world.now));

export const readyOf = (world: World) => world.resource && findCondition(world.resource.status, "Ready");

/** The live row whose plaintext the wanted Secret holds. */
export function heldRow(world: World): TokenRow | undefined {
  const secret = world.secrets[world.spec.desired?.secret.name ?? ""];
  return liveRows(world).find(
    (row) => row.resourceUid === world.resource?.uid && secret?.owner === "us" && row.id === secret.value,
  );
}

export function isRotating({ spec: { desired }, policy }: World): boolean {
  return desired?.rotation.isAutomatic === true && desired.lifetime.kind !== "fixed" && policy.kind === "allowed";
}

/** Compares a settled world with what its spec and policy require, without using the plan. */
export function expectSettled(world: World, before: World): void {
  const { resource, spec } = world;
  if (resource === undefined || resource.isDeleting) {
    expectGone(world, before);
    return;
  }
  const own = (rows: readonly TokenRow[]) => rows.filter((row) => row.resourceUid === resource.uid);
  expect(acceptedRows(world).filter((row) => row.resourceUid !== resource.uid)).toEqual([]);
  const unread = world.policy.kind === "denied" ? "PolicyDenied" : "InvalidSpec";
  const expected = spec.desired === undefined ? unread : findStop(world, spec.desired);
  if (expected === "InvalidSpec" || expected === "Suspended") {
    expect(readyOf(world)?.reason).toBe(expected);
    expect(own(world.rows)).toEqual(own(before.rows));
    expect(world.secrets).toEqual(before.secrets);
  } else if (expected !== undefined) {
    expectEnded(world, expected);
  } else {
    expectDecided(world, before, spec.desired as DesiredToken);
  }
}

/** What stops an ApiToken regardless of its tokens. */
function findStop({ policy, block, now }: World, { isRevoked, isSuspended }: DesiredToken): string | undefined {
  if (isRevoked) return "RevokedBySpec";
  if (block && block.effectiveAt <= now) return "OwnerBlocked";
  if (policy.kind === "denied") return "PolicyDenied";
  return isSuspended ? "Suspended" : undefined;
}

function expectGone(world: World, before: World): void {
  expect(acceptedRows(world)).toEqual([]);
  if (!before.resource) return;
  expect(ownSecrets(world)).toEqual([]);
  if (before.resource.hasFinalizer) expect(world.resource).toBeUndefined();
  const { desired } = before.spec;
  const wanted = before.secrets[desired?.secret.name ?? ""];
  if (desired?.secret.isRetained && wanted?.owner === "us") {
    expect(world.secrets[desired.secret.name]).toEqual({ owner: "somebody", value: wanted.value });
  }
}

function expectEnded(world: World, reason: string): void {
  expect(readyOf(world)).toMatchObject({ status: "False", reason });
  expect(world.resource && findCondition(world.resource.status, "Revoked")).toMatchObject({ status: "True", reason });
  expect(acceptedRows(world)).toEqual([]);
  expect(ownSecrets(world)).toEqual([]);
}

/** What depends on the tokens that there are and were. */
function expectDecided(world: World, before: World, desired: DesiredToken): void {
  const ready = readyOf(world);
  if (ready?.status === "True") {
    expectReady(world, desired);
    return;
  }
  switch (ready?.reason) {
    case "Superseded":
      expect(wasEndedFor("Superseded", before) || hasNewerRival(world)).toBe(true);
      expectEnded(world, "Superseded");
      break;
    case "Inactive": {
      const hasTimeout = desired.inactivityTimeoutMs ?? world.policy.applied?.inactivityTimeoutMs;
      expect(wasEndedFor("Inactive", before) || Boolean(hasTimeout)).toBe(true);
      expectEnded(world, "Inactive");
      break;
    }
    case "SecretConflict": {
      expect(world.secrets[desired.secret.name]?.owner).toBe("somebody");
      const shown = [desired.secret.name, ...ownSecrets(world)].map((name) => world.secrets[name]?.value);
      // The token before one that is shown has its overlap.
      const unshown = acceptedRows(world).filter((row) => !shown.includes(row.id));
      for (const row of unshown) {
        expect(row.revokedAt).toBeDefined();
        expect(acceptedRows(world).some(({ id, revision }) => revision > row.revision && shown.includes(id))).toBe(
          true,
        );
      }
      break;
    }
    case "PolicyMissing":
      expect(world.policy.kind).toBe("missing");
      expect(heldRow(world)).toBeUndefined();
      break;
    case "OwnerLimitExceeded": {
      const { max, onLimit } = needPolicy(world).owner;
      expect(onLimit).toBe("Reject");
      expect(world.rivals.older + world.rivals.newer).toBeGreaterThanOrEqual(max);
      expect(acceptedRows(world)).toEqual([]);
      break;
    }
    default:
      expectExpired(world, before, desired);
  }
}

function hasNewerRival({ policy, rivals }: World): boolean {
  return (
    policy.kind === "allowed" &&
    policy.applied.owner.onLimit === "RevokeOldest" &&
    rivals.newer >= policy.applied.owner.max
  );
}

function wasEndedFor(reason: string, { resource, rows }: World): boolean {
  const told = resource && findCondition(resource.status, "Revoked")?.reason;
  return told === reason || rows.some((row) => row.revocationReason === reason);
}

function expectExpired(world: World, before: World, { lifetime }: DesiredToken): void {
  expect(readyOf(world)).toMatchObject({ status: "False", reason: "Expired" });
  expect(isRotating(world)).toBe(false);
  expect(liveRows(world)).toEqual([]);
  // A token in its grace stays only if its Secret still holds it.
  const secret = world.secrets[world.spec.desired?.secret.name ?? ""];
  for (const row of acceptedRows(world)) expect(secret).toMatchObject({ owner: "us", value: row.id });
  const issuedAt = world.rows.filter((row) => row.resourceUid === world.resource?.uid).at(-1)?.issuedAt;
  const isPast = lifetime.kind === "fixed" && lifetime.expiresAt <= world.now;
  const isLived = issuedAt !== undefined && endFor(world, issuedAt) <= world.now;
  expect(isPast || isLived || before.resource?.status.issuedAt !== undefined).toBe(true);
}

/** One live token as the spec says, in the Secret that it says and nowhere else; and at most the one before it. */
function expectReady(world: World, desired: DesiredToken): void {
  const token = heldRow(world);
  if (token === undefined) throw new Error("Ready, but the Secret holds no token that is live");
  const { policy, resource } = world;
  const secret = world.secrets[desired.secret.name];
  expect(ownSecrets(world)).toEqual([desired.secret.name]);
  expect(secret).toMatchObject({ decoration: decorationOf(token), contents: contentsOf(desired, token) });
  expect(resource).toMatchObject({ hasFinalizer: true, status: { tokenId: token.id, revision: token.revision } });
  expectPrevious(world, token);
  if (policy.kind !== "allowed") {
    expect(readyOf(world)?.reason).toBe("PolicyMissing");
    return;
  }
  expect(readyOf(world)?.reason).toBe(token.revision === 1 ? "Issued" : "Rotated");
  expect(token).toMatchObject({ ...grantOf(world), expiresAt: endFor(world, token.issuedAt) });
  expectRotation(world, desired, token, policy.applied);
}

function expectRotation(world: World, desired: DesiredToken, token: TokenRow, policy: AppliedPolicy): void {
  const { owner, minRequestIntervalMs } = policy;
  const { status, rotateRequestedAt, uid } = world.resource as NonNullable<World["resource"]>;
  if (rotateRequestedAt !== undefined) expect(status.lastHandledRotateAt).toBeDefined();
  if (owner.onLimit === "Reject") expect(world.rivals.older).toBeLessThan(owner.max);
  expect(hasNewerRival(world)).toBe(false);
  // A request that came too soon after the last one waits, whether or not the token rotates.
  const isPostponed = rotateRequestedAt !== undefined && rotateRequestedAt !== status.lastHandledRotateAt;
  const times = [
    ...(isPostponed ? [new Date(token.issuedAt.getTime() + minRequestIntervalMs)] : []),
    ...(isRotating(world) ? [renewalTime(desired.rotation, token, uid)] : []),
  ].sort((left, right) => left.getTime() - right.getTime());
  for (const at of times) expect(at.getTime()).toBeGreaterThan(world.now.getTime());
  expect(status.renewAt).toBe(times[0] && formatTime(times[0]));
  if (isRotating(world)) expect(token.revokedAt).toBeUndefined();
}

function expectPrevious(world: World, token: TokenRow): void {
  const others = acceptedRows(world).filter((row) => row !== token);
  expect(others.length).toBeLessThanOrEqual(1);
  const [previous] = others;
  expect(world.resource?.status.previous?.tokenId).toBe(previous?.id);
  if (previous === undefined) return;
  expect(previous.revision).toBeLessThan(token.revision);
  expect(world.resource?.status.previous?.validUntil).toBe(formatTime(acceptedUntil(previous)));
  const { policy, spec, now } = world;
  const latest = now.getTime() + (spec.desired?.rotation.overlapMs ?? 0);
  expect(acceptedUntil(previous).getTime()).toBeLessThanOrEqual(latest);
  if (policy.kind !== "allowed" || !isLive(previous, now)) return;
  expect(acceptedUntil(previous).getTime()).toBeLessThanOrEqual(
    previous.issuedAt.getTime() + policy.applied.lifetime.maxMs,
  );
}
