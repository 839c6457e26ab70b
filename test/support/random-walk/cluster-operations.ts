/*
 * What administrators do: policies, blocks (here and in a second cluster that shares the database), and what keeps Secrets from
 * being written.
 */
import { randomUUID } from "node:crypto";
import { findFreePorts } from "../../../local/processes.ts";
import { NO_POLICY_LABEL } from "../global-setup.ts";
import { type Operation, onOwner } from "./operation.ts";
import type { Walk } from "./world.ts";

const GRACES = [undefined, { period: "24h", scopes: ["a:read"] }, { period: "2s", scopes: ["a:read", "b:write"] }];

const RATE_LIMITS = [undefined, { requests: 600, per: "1m" }, { requests: 5, per: "1500ms" }];

async function applyPolicy(walk: Walk): Promise<string> {
  const { random, resources, policies } = walk;
  const name = `policy-${random.below(5)}`;
  const rules = {
    priority: random.below(100),
    maxTokensPerOwner: 1 + random.below(6),
    owners: random.chance(75) ? ["*"] : ["owner-1", "owner-2"],
    scopes: random.chance(75) ? ["*"] : ["a:*", "b:*"],
  };
  const grace = random.pick(GRACES);
  const rateLimit = random.pick(RATE_LIMITS);
  await resources.applyPolicy(name, {
    ...rules,
    onLimit: random.pick(["RevokeOldest", "Reject"]),
    limitScope: random.pick(["Cluster", "Database"]),
    maxDuration: random.pick(["720h", "48h"]),
    defaultDuration: "12h",
    rotation: { minRequestInterval: random.pick(["0s", "0s", "5s"]) },
    ...(grace === undefined ? {} : { grace }),
    ...(rateLimit === undefined ? {} : { rateLimit }),
  });
  policies.set(name, rules);
  return `${name} ${JSON.stringify(rules)}`;
}

async function deletePolicy({ random, resources, policies }: Walk): Promise<string> {
  const name = `policy-${random.below(5)}`;
  await resources.deletePolicy(name);
  policies.delete(name);
  return name;
}

async function block({ random, resources, blocks }: Walk, owner: string): Promise<void> {
  const name = `block-${owner}`;
  const isEffective = random.chance(60);
  const effectiveAt = isEffective ? "2026-01-01T00:00:00Z" : "2126-01-01T00:00:00Z";
  await resources.applyBlock(name, { owner, reason: "at random", effectiveAt, erase: random.chance(10) });
  blocks.set(name, { owner, isEffective });
}

async function lift({ resources, blocks }: Walk, owner: string): Promise<void> {
  await resources.deleteBlock(`block-${owner}`);
  blocks.delete(`block-${owner}`);
}

const SECOND_CLUSTER = randomUUID();

async function blockElsewhere({ db, blocks }: Walk, owner: string): Promise<void> {
  const uid = randomUUID();
  const row = {
    cluster_id: SECOND_CLUSTER,
    uid,
    name: owner,
    owner,
    reason: "",
    effective_at: new Date(),
    tokens_revoked: 0,
  };
  await db.query({
    text: `insert into apitoken.blocked_owners
           select * from jsonb_populate_record(null::apitoken.blocked_owners, $1) on conflict do nothing`,
    values: [JSON.stringify(row)],
  });
  blocks.set(`elsewhere-${owner}`, { owner, isEffective: true });
}

async function liftElsewhere({ db, blocks }: Walk, owner: string): Promise<void> {
  await db.query({
    text: "delete from apitoken.blocked_owners where cluster_id = $1 and name = $2",
    values: [SECOND_CLUSTER, owner],
  });
  blocks.delete(`elsewhere-${owner}`);
}

async function labelNamespace({ cluster: { transport, namespace }, random }: Walk): Promise<string> {
  const value = random.chance(30) ? "yes" : null;
  await transport.request("PATCH", `/api/v1/namespaces/${namespace}`, {
    contentType: "application/merge-patch+json",
    body: { metadata: { labels: { [NO_POLICY_LABEL]: value } } },
  });
  return `without a policy: ${value}`;
}

/** A webhook that does not answer, and without which the API server refuses all changes of Secrets. */
async function breakWebhook({ cluster: { transport, namespace }, obstacles, random }: Walk): Promise<string> {
  const [port] = await findFreePorts(1);
  const path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
  const name = `${namespace}-down`;
  const operations = random.pick([["CREATE"], ["CREATE", "UPDATE"], ["*"]]);
  const webhook = {
    name: "secrets.walk.test",
    clientConfig: { url: `https://127.0.0.1:${port}/` },
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
    rules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["secrets"], operations }],
    failurePolicy: "Fail",
    sideEffects: "None",
    admissionReviewVersions: ["v1"],
    timeoutSeconds: 1,
  };
  await transport.request("POST", path, { body: { metadata: { name }, webhooks: [webhook] } });
  obstacles.set("webhook", () => transport.request("DELETE", `${path}/${name}`));
  return operations.join();
}

/** A quota that has no room for another Secret. The quota controller is not running, so the walk says what is used. */
async function exhaustQuota({ cluster: { transport, namespace }, obstacles }: Walk): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/resourcequotas`;
  const hard = { "count/secrets": "0" };
  await transport.request("POST", path, { body: { metadata: { name: "walk" }, spec: { hard } } });
  obstacles.set("quota", () => transport.request("DELETE", `${path}/walk`));
  await transport.request("PATCH", `${path}/walk/status`, {
    contentType: "application/merge-patch+json",
    body: { status: { hard, used: hard } },
  });
  return "no more Secrets";
}

const clear =
  (obstacle: string) =>
  async ({ obstacles }: Walk): Promise<string> => {
    await obstacles.get(obstacle)?.();
    return obstacles.delete(obstacle) ? obstacle : "none";
  };

export const CLUSTER_OPERATIONS: readonly Operation[] = [
  ["apply a policy", 6, applyPolicy],
  ["delete a policy", 4, deletePolicy],
  ["block an owner", 3, onOwner(block)],
  ["lift a block", 5, onOwner(lift)],
  ["SQL: block an owner in another cluster", 2, onOwner(blockElsewhere)],
  ["SQL: lift a block of another cluster", 4, onOwner(liftElsewhere)],
  ["label the namespace", 3, labelNamespace],
  ["break a webhook", 2, breakWebhook],
  ["repair the webhook", 3, clear("webhook")],
  ["exhaust the quota", 2, exhaustQuota],
  ["raise the quota", 3, clear("quota")],
];
