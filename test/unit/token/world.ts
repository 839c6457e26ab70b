import { isLive, resolveLifetime } from "../../../src/token/lifetime.ts";
import type {
  Action,
  DesiredToken,
  LifetimeLimits,
  Observed,
  ObservedResource,
  ObservedSecret,
  Plan,
  TokenRow,
} from "../../../src/token/model.ts";
import { type ParsedSpec, plan } from "../../../src/token/plan.ts";

/** A Secret as it lies in the cluster; `value` is the id of the token whose plaintext it has, or anything else. */
export type WorldSecret =
  | { readonly owner: "somebody" }
  | { readonly owner: "us"; readonly value: string; readonly decoration: string };

/** A cluster and a database that know one ApiToken: what `plan` is about, without any I/O. */
export interface World {
  now: Date;
  limits: LifetimeLimits;
  spec: ParsedSpec;
  resource: ObservedResource | undefined;
  /** Every row, also those that no pass looks at any more. */
  rows: TokenRow[];
  secrets: Record<string, WorldSecret>;
  /** The token that was issued in this pass and not yet written to its Secret; a crash forgets it. */
  inHand: string | undefined;
  issued: number;
}

/** What a pass sees of a world: as the controller's `observe` reads cluster and database. */
export function look({ now, spec, resource, rows, secrets }: World): Observed {
  const tokens = rows.filter((row) => isLive(row, now) || !rows.some((other) => isNewer(other, row)));
  if (resource === undefined) return { now, resource, tokens, secret: { state: "absent" }, straySecrets: [] };
  const wantedName = spec.desired?.secret.name;
  const held = (value: string) => tokens.find((token) => token.id === value);
  return {
    now,
    resource,
    tokens,
    secret: lookAtSecret(wantedName, wantedName === undefined ? undefined : secrets[wantedName], held),
    straySecrets: Object.entries(secrets).flatMap(([name, secret]) =>
      secret.owner === "us" && name !== wantedName ? [{ name, holds: held(secret.value)?.id }] : [],
    ),
  };
}

function lookAtSecret(
  name: string | undefined,
  secret: WorldSecret | undefined,
  held: (value: string) => TokenRow | undefined,
): ObservedSecret {
  if (name === undefined || secret === undefined) return { state: "absent" };
  if (secret.owner === "somebody") return { state: "foreign" };
  const token = held(secret.value);
  const isDecorated = token === undefined || secret.decoration === decorationOf(token);
  return { state: "ours", name, holds: token?.id, isDecorated };
}

function isNewer(left: TokenRow, right: TokenRow): boolean {
  return left.resourceUid === right.resourceUid && left.revision > right.revision;
}

/** As much of a decoration as can drift because of what the plan does. */
export function decorationOf({ id, expiresAt }: Pick<TokenRow, "id" | "expiresAt">): string {
  return `${id} until ${expiresAt.toISOString()}`;
}

/** Plans for the world as it is. */
export function planFor(world: World): Plan {
  return plan(world.spec, look(world), world.limits);
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
    case "updateToken":
      changeRow(world, action.tokenId, { ...rowOf(needDesired(world)), expiresAt: action.expiresAt });
      return;
    case "revokeTokens":
      for (const row of world.rows.filter((each) => action.tokenIds.includes(each.id) && isLive(each, world.now))) {
        changeRow(world, row.id, { revokedAt: world.now, revocationReason: action.reason });
      }
      return;
    case "writeSecret":
      writeSecret(world, action.expiresAt);
      return;
    case "decorateSecret": {
      const { name, secret } = wantedSecret(world);
      const token = world.rows.find((row) => secret?.owner === "us" && row.id === secret.value);
      if (secret?.owner !== "us" || token === undefined) throw new Error("there is no Secret of ours to decorate");
      world.secrets[name] = { ...secret, decoration: decorationOf(token) };
      return;
    }
    case "deleteSecret":
      if (world.secrets[action.name]?.owner !== "us") throw new Error(`Secret ${action.name} is not ours to delete`);
      delete world.secrets[action.name];
  }
}

function insertRow(world: World, { revision, issuedAt, expiresAt }: Action & { kind: "issueToken" }): void {
  const { uid } = needResource(world);
  if (world.rows.some((row) => row.resourceUid === uid && row.revision === revision)) {
    throw new Error(`revision ${revision} exists already: unique (resource_uid, revision)`);
  }
  world.rows.push(newRow(world, { resourceUid: uid, revision, issuedAt, expiresAt }));
}

function replaceRow(world: World, { tokenId, issuedAt, expiresAt }: Action & { kind: "replaceToken" }): void {
  const index = world.rows.findIndex((row) => row.id === tokenId);
  const replaced = world.rows[index];
  if (replaced === undefined) throw new Error(`there is no row ${tokenId} to replace`);
  const { resourceUid, revision } = replaced;
  world.rows[index] = newRow(world, { resourceUid, revision, issuedAt, expiresAt });
}

function newRow(world: World, life: Pick<TokenRow, "resourceUid" | "revision" | "issuedAt" | "expiresAt">): TokenRow {
  needLength(life);
  world.issued += 1;
  world.inHand = `issued${world.issued}`;
  const row = { id: world.inHand, revokedAt: undefined, revocationReason: undefined };
  return { ...row, ...rowOf(needDesired(world)), ...life };
}

function changeRow(world: World, id: string, change: Partial<TokenRow>): void {
  world.rows = world.rows.map((row) => (row.id === id ? { ...row, ...change } : row));
  for (const row of world.rows) needLength(row);
}

function needLength({ issuedAt, expiresAt }: Pick<TokenRow, "issuedAt" | "expiresAt">): void {
  if (!(expiresAt > issuedAt))
    throw new Error("a row's end must lie after its beginning: check (expires_at > issued_at)");
}

function writeSecret(world: World, expiresAt: Date): void {
  const { name, secret } = wantedSecret(world);
  if (world.inHand === undefined) throw new Error("no token was issued in this pass");
  if (secret?.owner === "somebody") throw new Error(`Secret ${name} is not ours to write`);
  world.secrets[name] = { owner: "us", value: world.inHand, decoration: decorationOf({ id: world.inHand, expiresAt }) };
}

function wantedSecret(world: World): { name: string; secret: WorldSecret | undefined } {
  const { name } = needDesired(world).secret;
  return { name, secret: world.secrets[name] };
}

/** The names of the Secrets that belong to the ApiToken. */
export function ownSecrets({ secrets }: World): string[] {
  return Object.keys(secrets).filter((name) => secrets[name]?.owner === "us");
}

/** What a row says of the token beside its life. */
export function rowOf({
  owner,
  description,
  scopes,
}: DesiredToken): Pick<TokenRow, "owner" | "description" | "scopes"> {
  return { owner, description, scopes };
}

/** The end that the spec and the limits give a token issued at `issuedAt`. */
export function endFor(world: World, issuedAt: Date): Date {
  return resolveLifetime(needDesired(world).lifetime, world.limits, issuedAt).expiresAt;
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
export function settle(world: World, { crashes = [], pausesMs = [], watch }: SettleOptions = {}): void {
  for (let pass = 0; pass < crashes.length + 10; pass += 1) {
    world.now = new Date(world.now.getTime() + (pausesMs[pass] ?? 0));
    world.inHand = undefined;
    const { actions, status } = planFor(world);
    if (actions.length === 0) {
      if (world.resource && status) world.resource = { ...world.resource, status };
      return;
    }
    for (const action of actions.slice(0, crashes[pass] ?? actions.length)) {
      act(world, action);
      watch?.(action);
    }
  }
  throw new Error("did not converge");
}
