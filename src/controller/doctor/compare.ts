/*
 * Every judgement of the doctor: what was read in, differences out. Pure, so that each kind of difference is testable.
 */
import { isDeepStrictEqual } from "node:util";
import type { LeaseView } from "../../kube/lease-view.ts";
import { count } from "../../runtime/text.ts";
import type { ApiTokenStatus } from "../../token/model.ts";
import { findCondition, formatTime } from "../../token/status.ts";
import { describePending } from "./action-words.ts";
import { judgeBlocks } from "./compare-blocks.ts";
import { judgePolicies } from "./compare-policies.ts";
import type {
  CrossExamination,
  DatabaseExamination,
  Examination,
  ExaminedToken,
  KeyringExamination,
  UnownedSecret,
} from "./examination.ts";
import type { Finding } from "./finding.ts";

/** All differences that an examination shows. */
export function compare(examination: Examination, lease: LeaseView): Finding[] {
  const { cluster, database, keyring, cross, now } = examination;
  return [
    ...judgeLease(lease),
    ...cluster.missingDefinitions.map(
      (name): Finding => ({
        kind: "DefinitionMissing",
        object: `CustomResourceDefinition ${name}`,
        problem: "the API server does not know it, so ApiTokens cannot be compared with the database",
        remedy: "apply the CRDs of this release: kubectl apply --server-side -f crds/",
      }),
    ),
    ...judgeDatabase(database),
    ...judgeKeyring(keyring),
    ...judgePolicies(cluster),
    ...(cross === undefined ? [] : judgeCross(cross, now)),
  ];
}

function judgeLease(lease: LeaseView): Finding[] {
  const remedy = "check that a controller runs, and look at its log";
  if (lease.state === "held") return [];
  if (lease.state === "expired") {
    const since = lease.renewedAt === undefined ? "" : ` since ${formatTime(lease.renewedAt)}`;
    const problem = `${lease.holder} holds it, but has not renewed it${since}, so no controller leads`;
    return [{ kind: "LeaseExpired", object: "Lease", problem, remedy }];
  }
  return [{ kind: "NoLeader", object: "Lease", problem: "nobody holds it, so no controller leads", remedy }];
}

function judgeDatabase({ schemaFault, missingEventMonths, faultyTriggers }: DatabaseExamination): Finding[] {
  if (schemaFault !== undefined) {
    const { problem, remedy = "" } = schemaFault;
    return [{ kind: "SchemaMismatch", object: "schema apitoken", problem, remedy }];
  }
  return [
    ...missingEventMonths.map(
      (month): Finding => ({
        kind: "AuditPartitionMissing",
        object: `table apitoken.security_events, ${month}`,
        problem: "the audit trail has no partition for that month, in which nothing could be issued or revoked",
        remedy: "create the partition",
        fix: { kind: "makePartitions" },
      }),
    ),
    ...faultyTriggers.map(
      ({ name, isMissing }): Finding => ({
        kind: "TriggerFaulty",
        object: `trigger ${name} of apitoken.tokens`,
        problem: `it is ${isMissing ? "missing" : "disabled"}: the audit trail has gaps, and changes made with SQL go unnoticed`,
        remedy: isMissing
          ? "restore the schema from a backup, or from migrations/"
          : `alter table apitoken.tokens enable trigger ${name}`,
      }),
    ),
  ];
}

function judgeKeyring(keyring: KeyringExamination): Finding[] {
  if ("fault" in keyring) {
    const { object = "keyring", problem, remedy = "" } = keyring.fault;
    return [{ kind: "KeyringUnusable", object, problem, remedy }];
  }
  const restore = "restore the keyring's Secret from a backup";
  return [
    ...keyring.missing.map(({ kind, id, rows }): Finding => {
      const [loss, otherwise] =
        kind === "pepper"
          ? ["cannot be verified", "delete those rows if you can do without their tokens"]
          : [
              "cannot show their metadata",
              "set metadata and metadata_key_id of those rows to null: the specs still contain it",
            ];
      const problem = `the keyring lacks it: ${count(rows, "token")} ${loss} without it, and no controller can become leader`;
      return { kind: "KeyMissing", object: `key ${id}`, problem, remedy: `${restore}, or ${otherwise}` };
    }),
    ...keyring.swapped.map(({ id }): Finding => {
      const problem = "its bytes have changed, and no controller can become leader with it";
      return { kind: "KeySwapped", object: `key ${id}`, problem, remedy: `${restore} of this cluster` };
    }),
  ];
}

function judgeCross({ tokens, unownedSecrets, blocks }: CrossExamination, now: Date): Finding[] {
  return [
    ...tokens.flatMap(judgeToken),
    ...gatherWithoutPolicy(tokens),
    ...unownedSecrets.map(judgeSecret),
    ...judgeBlocks(blocks, now),
  ];
}

function judgeToken({ key, exists, actions, status, nextStatus }: ExaminedToken): Finding[] {
  const object = `ApiToken ${key}`;
  const fix = { kind: "reconcile", key } as const;
  if (!exists && actions.length > 0) {
    const { problem, remedy } = describePending(actions);
    return [{ kind: "RowWithoutApiToken", object, problem: `it does not exist, but ${problem}`, remedy, fix }];
  }
  if (actions.length > 0) return [{ kind: "ApiTokenDiffers", object, ...describePending(actions), fix }];
  if (nextStatus === undefined) return [];
  const ready = findCondition(nextStatus, "Ready");
  const isOutdated = !isDeepStrictEqual(essence(status), essence(nextStatus));
  const outdated: Finding = {
    kind: "StatusOutdated",
    object,
    problem: `its status is outdated (it should be Ready ${ready?.status}, ${ready?.reason})`,
    remedy: "write the status",
    fix,
  };
  const found = isOutdated ? [outdated] : [];
  if (ready?.reason === "SecretConflict") {
    const remedy = "delete that Secret, or choose another spec.secret.name";
    found.push({ kind: "SecretConflict", object, problem: ready.message, remedy });
  }
  if (ready?.reason === "InvalidSpec") {
    found.push({ kind: "InvalidSpec", object, problem: ready.message, remedy: "correct the spec" });
  }
  return found;
}

/** The part of a status that is always up to date: last uses and counts of failures are written only now and then. */
function essence({ conditions, tokenId, revision, secretName, expiresAt, previous }: ApiTokenStatus) {
  const claims = (conditions ?? []).map(({ type, status, reason }) => `${type} ${status} ${reason}`).sort();
  return { claims, tokenId, revision, secretName, expiresAt, previous: previous?.tokenId };
}

/** One finding per namespace, because without a policy it is the same for all its ApiTokens. */
function gatherWithoutPolicy(tokens: readonly ExaminedToken[]): Finding[] {
  const counts = new Map<string, number>();
  for (const { key, exists, nextStatus = {} } of tokens) {
    const [namespace = ""] = key.split("/");
    const isWithout = exists && findCondition(nextStatus, "Ready")?.reason === "PolicyMissing";
    if (isWithout) counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
  }
  return [...counts].map(([namespace, tokens]) => ({
    kind: "PolicyMissing",
    object: `Namespace ${namespace}`,
    problem: `no ApiTokenPolicy applies, and ${count(tokens, "ApiToken")} cannot be issued a token`,
    remedy: "create an ApiTokenPolicy whose namespaceSelector selects it, or correct the one that cannot be read",
  }));
}

function judgeSecret({ key, formerOwner, holds }: UnownedSecret): Finding {
  const held =
    holds === undefined
      ? "no token that the database knows"
      : `the ${holds.isAccepted ? "working" : "dead"} token ${holds.id}`;
  const object = `Secret ${key}`;
  if (formerOwner !== undefined) {
    const problem = `its ApiToken "${formerOwner}" is gone; it holds ${held}`;
    const fix = { kind: "deleteSecret", key } as const;
    return { kind: "SecretWithoutApiToken", object, problem, remedy: "delete the Secret", fix };
  }
  return {
    kind: "SecretWithoutApiToken",
    object,
    problem: `it has the label of our Secrets but does not belong to an ApiToken; it holds ${held}`,
    remedy: "delete it, or remove the label apitoken.dev/managed: without an owner reference it is not touched",
  };
}
