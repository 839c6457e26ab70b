import type { ApiToken } from "../kube/resources/api-token.ts";
import { addFinalizer, removeFinalizer } from "../kube/resources/api-token-api.ts";
import { API_VERSION, FINALIZER, MANAGED_LABEL, type OwnerReference } from "../kube/resources/group.ts";
import { reduceSecret, type Secret, type SecretView } from "../kube/resources/secret.ts";
import { createSecret, decorateSecret, deleteSecret, replaceSecretValues } from "../kube/resources/secret-api.ts";
import { type Fence, issueToken, replaceToken, revokeTokens, updateToken } from "../postgres/tokens.ts";
import { diffDecoration, wantDecoration } from "../token/decoration.ts";
import { hashToken } from "../token/keyring.ts";
import type { Action, DesiredToken } from "../token/model.ts";
import { createToken, type NewToken } from "../token/token-string.ts";
import { keyOf, type Observation, type ObserveContext } from "./observe.ts";

/** What actions need besides what was observed. */
export interface ExecuteContext extends ObserveContext {
  /** The right to write to the database: this leader's epoch. Throws when the database is not available. */
  readonly getFence: () => Promise<Fence>;
}

/** The state that one plan's actions share. A plaintext token lives here, from its row to its Secret. */
interface Execution {
  readonly context: ExecuteContext;
  readonly key: string;
  readonly desired: DesiredToken | undefined;
  readonly observation: Observation;
  resource: ApiToken | undefined;
  newToken?: NewToken;
}

/** Carries out the actions one after the other. The first failure ends it; the next pass sees how far it came. */
export async function execute(
  context: ExecuteContext,
  key: string,
  observation: Observation,
  actions: readonly Action[],
): Promise<void> {
  const { spec, resource } = observation;
  const execution: Execution = { context, key, desired: spec.desired, observation, resource };
  for (const action of actions) await executeAction(execution, action);
}

async function executeAction(execution: Execution, action: Action): Promise<void> {
  const { context, observation } = execution;
  switch (action.kind) {
    case "addFinalizer":
      execution.resource = await addFinalizer(context.transport, needResource(execution));
      context.caches.apiTokens.upsert(execution.resource);
      return;
    case "issueToken":
      return issue(execution, action);
    case "replaceToken":
      return replace(execution, action);
    case "updateToken": {
      const { owner, description, scopes } = needDesired(execution);
      const change = { owner, description, scopes, expiresAt: action.expiresAt };
      return updateToken(context.db, await context.getFence(), action.tokenId, change);
    }
    case "writeSecret":
      return writeSecret(execution, action.expiresAt);
    case "decorateSecret":
      return decorate(execution);
    case "revokeTokens": {
      const reason = action.note === undefined ? action.reason : `${action.reason}: ${action.note}`;
      return revokeTokens(context.db, await context.getFence(), action.tokenIds, reason);
    }
    case "deleteSecret": {
      const views = [observation.secret, ...observation.strays];
      const seen = views.find((view) => view?.metadata.name === action.name);
      if (seen === undefined) return;
      await deleteSecret(context.transport, seen);
      context.caches.secrets.remove(keyOf(seen.metadata), seen.metadata.uid);
      return;
    }
    case "removeFinalizer":
      return finalize(execution);
  }
}

async function issue(execution: Execution, action: Action & { kind: "issueToken" }): Promise<void> {
  const { context } = execution;
  const { namespace, name, uid } = needResource(execution).metadata;
  const fence = await context.getFence();
  const token = createRow(execution, action);
  await issueToken(context.db, fence, { ...token, namespace, name, resourceUid: uid, revision: action.revision });
}

async function replace(execution: Execution, action: Action & { kind: "replaceToken" }): Promise<void> {
  const { context } = execution;
  const fence = await context.getFence();
  await replaceToken(context.db, fence, action.tokenId, createRow(execution, action));
}

/** Makes a token and what its row says of it; keeps the plaintext for the Secret. */
function createRow(execution: Execution, { issuedAt, expiresAt }: { issuedAt: Date; expiresAt: Date }) {
  const { owner, description, scopes } = needDesired(execution);
  const pepper = execution.context.keyring.peppers[0];
  const token = createToken();
  execution.newToken = token;
  return {
    id: token.id,
    owner,
    description,
    scopes,
    hash: hashToken(token.plaintext, pepper),
    keyId: pepper.id,
    issuedAt,
    expiresAt,
  };
}

async function writeSecret(execution: Execution, expiresAt: Date): Promise<void> {
  const { context, observation, newToken } = execution;
  if (newToken === undefined) throw new Error("a Secret is to be written, but no token was issued in this pass");
  const desired = needDesired(execution);
  const resource = needResource(execution);
  const values = { [desired.secret.key]: newToken.plaintext };
  const decoration = wantDecoration(desired, MANAGED_LABEL, { id: newToken.id, expiresAt });
  const seen = observation.secret;
  const written =
    seen === undefined
      ? await createSecret(context.transport, {
          namespace: resource.metadata.namespace,
          name: desired.secret.name,
          owner: ownerReferenceTo(resource),
          decoration,
          values,
        })
      : await replaceSecretValues(context.transport, seen, values, diffDecoration(seen.metadata, decoration));
  remember(context, written);
}

async function decorate({ context, observation: { secret, wantedDecoration } }: Execution): Promise<void> {
  const patch = secret && wantedDecoration && diffDecoration(secret.metadata, wantedDecoration);
  if (patch !== undefined) remember(context, await decorateSecret(context.transport, secret as SecretView, patch));
}

/** After a write the next pass must not see an older state of it. */
function remember({ caches, keyring }: ExecuteContext, secret: Secret): void {
  caches.secrets.upsert(reduceSecret(secret, keyring));
}

/** With the last finalizer gone the object is gone. */
async function finalize(execution: Execution): Promise<void> {
  const { transport, caches } = execution.context;
  const resource = needResource(execution);
  const isLast = resource.metadata.finalizers?.every((finalizer) => finalizer === FINALIZER) ?? true;
  const result = await removeFinalizer(transport, resource);
  if (isLast) caches.apiTokens.remove(execution.key, resource.metadata.uid);
  else caches.apiTokens.upsert(result);
}

function ownerReferenceTo({ metadata }: ApiToken): OwnerReference {
  return {
    apiVersion: API_VERSION,
    kind: "ApiToken",
    name: metadata.name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: false,
  };
}

function needResource({ resource, key }: Execution): ApiToken {
  if (resource === undefined) throw new Error(`the plan for ${key} acts on an ApiToken that does not exist`);
  return resource;
}

function needDesired({ desired, key }: Execution): DesiredToken {
  if (desired === undefined) throw new Error(`the plan for ${key} acts on a spec that could not be read`);
  return desired;
}
