/*
 * A simulated cluster and database in which plans are carried out. It lets property tests run thousands of lives of an
 * ApiToken, with crashes at any point, in the time of one integration test.
 */

import { resolveLifetime } from "../../../src/token/lifetime.ts";
import type {
  AppliedPolicy,
  DesiredToken,
  Observed,
  ObservedBlock,
  ObservedResource,
  ObservedSecret,
  ParsedSpec,
  PolicyVerdict,
  Rivals,
  TokenRow,
} from "../../../src/token/model.ts";
import type { Action, Plan } from "../../../src/token/plan/action.ts";
import { plan } from "../../../src/token/plan/plan.ts";
import { combineRateLimits } from "../../../src/token/rate-limit.ts";
import { isAccepted } from "../../../src/token/validity.ts";

/** A Secret in the simulated cluster. */
export type WorldSecret = { readonly owner: "somebody"; readonly value?: string } | OwnSecret;

export interface OwnSecret {
  readonly owner: "us";
  /** The id of the token whose plaintext it holds, or any other text. */
  readonly value: string;
  readonly decoration: string;
  /** Its keys, and the values that their templates were rendered with. */
  readonly contents: string;
  readonly handledRotateAt: string | undefined;
}

/** A cluster and a database with one ApiToken, simulated without I/O. */
export interface World {
  now: Date;
  policy: PolicyVerdict;
  block: ObservedBlock | undefined;
  rivals: Rivals;
  spec: ParsedSpec;
  resource: ObservedResource | undefined;
  /** Every row, including those that passes no longer read. */
  rows: TokenRow[];
  secrets: Record<string, WorldSecret>;
  /** The token that was issued in this pass and not yet written to its Secret; a crash forgets it. */
  inHand: string | undefined;
  issued: number;
}

/** The facts of a world, as the controller's `observe` would derive them. */
export function look({ now, spec, resource, rows, secrets, block, rivals }: World): Observed {
  const tokens = rows.filter((row) => isAccepted(row, now) || !rows.some((other) => isNewer(other, row)));
  const seen = { now, tokens, block, rivals, isNamespaceTerminating: false, encryptionChangesAt: undefined };
  if (resource === undefined) return { ...seen, resource, secret: { state: "absent" }, straySecrets: [] };
  const wantedName = spec.desired?.secret.name;
  const held = (value: string | undefined) => tokens.find((token) => token.id === value);
  return {
    ...seen,
    resource,
    secret: lookAtSecret(spec.desired, wantedName === undefined ? undefined : secrets[wantedName], held),
    straySecrets: Object.entries(secrets).flatMap(([name, secret]) =>
      secret.owner === "us" && name !== wantedName ? [{ name, holds: held(secret.value)?.id }] : [],
    ),
  };
}

function lookAtSecret(
  desired: DesiredToken | undefined,
  secret: WorldSecret | undefined,
  held: (value: string | undefined) => TokenRow | undefined,
): ObservedSecret {
  if (desired === undefined || secret === undefined) return { state: "absent" };
  const token = held(secret.value);
  if (secret.owner === "somebody") return { state: "foreign", holds: token?.id };
  return {
    state: "ours",
    name: desired.secret.name,
    holds: token?.id,
    isIntact: token !== undefined && secret.contents === contentsOf(desired, token),
    isDecorated: token === undefined || secret.decoration === decorationOf(token),
    handledRotateAt: secret.handledRotateAt,
  };
}

function isNewer(left: TokenRow, right: TokenRow): boolean {
  return left.resourceUid === right.resourceUid && left.revision > right.revision;
}

/** As much of a decoration as can drift because of what the plan does. */
export function decorationOf({ id, expiresAt }: Pick<TokenRow, "id" | "expiresAt">): string {
  return `${id} until ${expiresAt.toISOString()}`;
}

/** As much of a Secret's values as can drift: templates speak of the token's end, and without them nothing does. */
export function contentsOf({ secret }: DesiredToken, token: Pick<TokenRow, "id" | "expiresAt">): string {
  const { key, data } = secret;
  return JSON.stringify([key, data, Object.keys(data).length === 0 ? "" : decorationOf(token)]);
}

/** Plans for the world as it is. */
export function planFor(world: World): Plan {
  return plan(world.spec, look(world), world.policy);
}

/** Does to a world what the controller's `execute` does to cluster and database; throws where those would refuse. */
export function act(world: World, action: Action): void {
  switch (action.kind) {
    case "addFinalizer":
      world.resource = { ...needResource(world), hasFinalizer: true };
      return;
    case "removeFinalizer":
      needResource(world);
      world.resource = undefined;
      for (const name of ownSecrets(world)) delete world.secrets[name];
      return;
    case "issueToken":
      insertRow(world, action);
      return;
    case "replaceToken":
      replaceRow(world, action);
      return;
    case "takeOver":
      changeRow(world, action.tokenId, { supersedes: false });
      return;
    case "updateToken":
      changeRow(world, action.tokenId, { ...grantOf(world), ...(action.expiresAt && { expiresAt: action.expiresAt }) });
      return;
    case "revokeTokens":
      revokeRows(world, action);
      return;
    case "writeSecret":
      if (world.inHand === undefined) throw new Error("no token was issued in this pass");
      writeSecret(world, { id: world.inHand, expiresAt: action.expiresAt }, action.handledRotateAt);
      return;
    case "rewriteSecret":
      rewriteSecret(world, action);
      return;
    case "decorateSecret": {
      const { name, secret } = wantedSecret(world);
      const token = world.rows.find((row) => secret?.owner === "us" && row.id === secret.value);
      if (secret?.owner !== "us" || token === undefined) throw new Error("there is no Secret of ours to decorate");
      world.secrets[name] = { ...secret, decoration: decorationOf(token) };
      return;
    }
    case "deleteSecret":
      needOwnSecret(world, action.name);
      delete world.secrets[action.name];
      return;
    case "releaseSecret":
      world.secrets[action.name] = { owner: "somebody", value: needOwnSecret(world, action.name).value };
  }
}

function insertRow(world: World, { revision, ...life }: Action & { kind: "issueToken" }): void {
  const { uid } = needResource(world);
  if (world.rows.some((row) => row.resourceUid === uid && row.revision === revision)) {
    throw new Error(`revision ${revision} exists already: unique (resource_uid, revision)`);
  }
  const { issuedAt, expiresAt, activeSince } = life;
  world.rows.push(newRow(world, { resourceUid: uid, revision, issuedAt, expiresAt, activeSince }));
}

function replaceRow(world: World, { tokenId, issuedAt, expiresAt }: Action & { kind: "replaceToken" }): void {
  const index = world.rows.findIndex((row) => row.id === tokenId);
  const replaced = world.rows[index];
  if (replaced === undefined) throw new Error(`there is no row ${tokenId} to replace`);
  const { resourceUid, revision, activeSince } = replaced;
  world.rows[index] = newRow(world, { resourceUid, revision, issuedAt, expiresAt, activeSince });
}

type Life = Pick<TokenRow, "resourceUid" | "revision" | "issuedAt" | "expiresAt" | "activeSince">;

function newRow(world: World, life: Life): TokenRow {
  needLength(life);
  world.issued += 1;
  world.inHand = `issued${world.issued}`;
  const row = {
    id: world.inHand,
    revokedAt: undefined,
    revocationReason: undefined,
    lastUsedAt: undefined,
    supersedes: false,
  };
  return { ...row, ...grantOf(world), ...life };
}

/** What ends before keeps its time and its reason. */
function revokeRows(world: World, { tokenIds, reason, at = world.now }: Action & { kind: "revokeTokens" }): void {
  for (const row of world.rows.filter(({ id }) => tokenIds.includes(id))) {
    if (row.revokedAt === undefined || row.revokedAt > at) {
      changeRow(world, row.id, { revokedAt: at, revocationReason: reason });
    }
  }
}

function changeRow(world: World, id: string, change: Partial<TokenRow>): void {
  world.rows = world.rows.map((row) => (row.id === id ? { ...row, ...change } : row));
  for (const row of world.rows) needLength(row);
}

function needLength({ issuedAt, expiresAt }: Pick<TokenRow, "issuedAt" | "expiresAt">): void {
  if (!(expiresAt > issuedAt))
    throw new Error("a row's end must lie after its beginning: check (expires_at > issued_at)");
}

function writeSecret(world: World, token: Pick<TokenRow, "id" | "expiresAt">, handledRotateAt: string | undefined) {
  const { name, secret } = wantedSecret(world);
  if (secret?.owner === "somebody") throw new Error(`Secret ${name} is not ours to write`);
  const contents = contentsOf(needDesired(world), token);
  world.secrets[name] = {
    owner: "us",
    value: token.id,
    decoration: decorationOf(token),
    contents,
    handledRotateAt,
  };
}

function rewriteSecret(world: World, { from, tokenId, expiresAt }: Action & { kind: "rewriteSecret" }): void {
  const { value, handledRotateAt } = needOwnSecret(world, from);
  if (value !== tokenId) throw new Error(`Secret ${from} does not hold ${tokenId}`);
  writeSecret(world, { id: tokenId, expiresAt }, handledRotateAt);
}

function wantedSecret(world: World): { name: string; secret: WorldSecret | undefined } {
  const { name } = needDesired(world).secret;
  return { name, secret: world.secrets[name] };
}

function needOwnSecret({ secrets }: World, name: string): OwnSecret {
  const secret = secrets[name];
  if (secret?.owner !== "us") throw new Error(`Secret ${name} is not ours`);
  return secret;
}

/** The names of the Secrets that belong to the ApiToken. */
export function ownSecrets({ secrets }: World): string[] {
  return Object.keys(secrets).filter((name) => secrets[name]?.owner === "us");
}

type Grant = Pick<
  TokenRow,
  "owner" | "description" | "scopes" | "allowedCidrs" | "metadata" | "isMetadataStale" | "grace" | "rateLimit"
>;

/** What a row says of the token beside its life. */
export function grantOf(world: World): Grant {
  const { owner, description, scopes, allowedCidrs, metadata, ...desired } = needDesired(world);
  const { grace, ...policy } = needPolicy(world);
  const rateLimit = combineRateLimits(desired.rateLimit, policy.rateLimit);
  return { owner, description, scopes, allowedCidrs, metadata, isMetadataStale: false, grace, rateLimit };
}

/** The end that the spec and the limits give a token issued at `issuedAt`. */
export function endFor(world: World, issuedAt: Date): Date {
  return resolveLifetime(needDesired(world).lifetime, needPolicy(world).lifetime, issuedAt).expiresAt;
}

/** What the policy that allows the ApiToken says. */
export function needPolicy({ policy }: World): AppliedPolicy {
  if (policy.applied === undefined) throw new Error("the plan issues or changes a token that no policy allows");
  return policy.applied;
}

function needDesired({ spec }: World): DesiredToken {
  if (spec.desired === undefined) throw new Error("the plan acts on a spec that could not be read");
  return spec.desired;
}

function needResource({ resource }: World): ObservedResource {
  if (resource === undefined) throw new Error("the plan acts on an ApiToken that does not exist");
  return resource;
}

export interface SettleOptions {
  /** After how many actions each of the first passes dies; the passes after them are carried out wholly. */
  readonly crashes?: readonly number[];
  /** How much time goes by before each pass. */
  readonly pausesMs?: readonly number[];
  /** Looks at the world after every single action. */
  readonly watch?: (action: Action) => void;
}

/** Passes over the world until there is nothing left to do, and then writes the status. */
export function settle(world: World, { crashes = [], pausesMs = [], watch }: SettleOptions = {}): Plan {
  for (let pass = 0; pass < crashes.length + 10; pass += 1) {
    world.now = new Date(world.now.getTime() + (pausesMs[pass] ?? 0));
    world.inHand = undefined;
    const decision = planFor(world);
    const { actions, status } = decision;
    if (actions.length === 0) {
      if (world.resource && status) world.resource = { ...world.resource, status };
      return decision;
    }
    for (const action of actions.slice(0, crashes[pass] ?? actions.length)) {
      act(world, action);
      watch?.(action);
    }
  }
  throw new Error("did not converge");
}
