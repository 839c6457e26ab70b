/*
 * `doctor --fix` has no repairs of its own: each one is a pass of the controller's own code, under its fence. A second
 * way to write tokens would be a second place for bugs.
 */
import { getApiToken } from "../../kube/resources/api-token-api.ts";
import { API_VERSION, MANAGED_LABEL } from "../../kube/resources/group.ts";
import { reduceSecret } from "../../kube/resources/secret.ts";
import { deleteSecret, getSecret } from "../../kube/resources/secret-api.ts";
import type { Database } from "../../postgres/database.ts";
import { createEventPartitions, EVENT_MONTHS_AHEAD } from "../../postgres/event-partitions.ts";
import type { PassContext } from "../pass/context.ts";
import { classifyFailure } from "../pass/failures.ts";
import { reconcile } from "../pass/reconcile.ts";
import { reconcileBlock } from "../pass/reconcile-block.ts";
import type { Finding, Fix } from "./finding.ts";

/** A difference that could not be fixed, and why. */
export interface FailedFix {
  readonly object: string;
  readonly reason: string;
}

/**
 * Fixes what can be fixed, one difference after the other; each pass observes the current state again. Audit partitions
 * come first, because without them nothing can be written, then blocks, so that no token is issued that a block would
 * end. Returns the differences that could not be fixed.
 */
export async function fixAll(context: PassContext, db: Database, findings: readonly Finding[]): Promise<FailedFix[]> {
  const failed: FailedFix[] = [];
  const order: readonly Fix["kind"][] = ["makePartitions", "reconcileBlock", "reconcile", "deleteSecret"];
  for (const kind of order) {
    const done = new Set<string>();
    for (const { object, fix } of findings) {
      if (fix?.kind !== kind || done.has(JSON.stringify(fix))) continue;
      done.add(JSON.stringify(fix));
      try {
        await retryConflicts(() => carryOut(context, db, fix));
      } catch (error) {
        failed.push({ object, reason: error instanceof Error ? error.message : String(error) });
      }
    }
  }
  await context.events.flush();
  return failed;
}

const TRIES = 3;

/** Retries conflicts, as the controller's queue would: the object has changed, and the next try observes it again. */
async function retryConflicts(work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (classifyFailure(error) !== "conflict" || tries === TRIES) throw error;
    }
  }
}

async function carryOut(context: PassContext, db: Database, fix: Fix): Promise<void> {
  switch (fix.kind) {
    case "makePartitions":
      await context.getFence();
      return void (await createEventPartitions(db, EVENT_MONTHS_AHEAD));
    case "reconcileBlock":
      while ((await reconcileBlock(context, fix.name)).isHalfDone);
      return;
    case "reconcile":
      return void (await reconcile(context, fix.key));
    case "deleteSecret":
      return deleteUnownedSecret(context, fix.key);
  }
}

/** Reads live and checks again that the Secret is ours and its ApiToken is gone, like the garbage collector does. */
async function deleteUnownedSecret({ transport, keyring }: PassContext, key: string): Promise<void> {
  const [namespace = "", name = ""] = key.split("/");
  const secret = await getSecret(transport, namespace, name);
  if (secret === undefined) return;
  const view = reduceSecret(secret, keyring);
  const { owner, metadata } = view;
  const isOurs =
    metadata.labels[MANAGED_LABEL] === "true" && owner?.kind === "ApiToken" && owner.apiVersion === API_VERSION;
  if (!isOurs || (await getApiToken(transport, namespace, owner.name))?.metadata.uid === owner.uid) return;
  await deleteSecret(transport, view);
}
