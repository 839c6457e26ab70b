/*
 * The tour shows in a minute that the operator does what the README says, on real servers. Each step checks its outcome, so
 * the tour is also a smoke test: `npm start -- --exit` fails if a step does.
 */
import { runAsSuperuser } from "../local/postgres-server.ts";
import { command, headline, output, say, verdict } from "./console.ts";
import { check, keepCalling, type Result, readToken, runCleanup, runKubectl, runSql, until } from "./hands.ts";
import type { Stage } from "./stage.ts";

/** The owner in examples/hello.yaml. */
const HELLO = "default/hello";

const DEAD_ROWS = 60_000;
const LIVE_ROWS = 40_000;

/** What a step can do. Each command is printed together with its output. */
interface Tour {
  readonly stage: Stage;
  kubectl(...args: string[]): Promise<Result>;
  sql(text: string): Promise<void>;
  /** Prints whether a step had the expected outcome. */
  expect(isGood: boolean, text: string): void;
}

type Step = readonly [title: string, run: (tour: Tour) => Promise<void>];

/** All steps, in order. */
const STEPS: readonly Step[] = [
  ["An ApiToken becomes a Secret and a row", showIssue],
  ["A gateway asks the verifier, and passes on what is good", showCheck],
  ["A spec asks for 60 days, and the policy allows 30", showClamping],
  ["The API server refuses a wrong spec, and names the remedy", showRefusals],
  ["A rotation: the previous token keeps working for the overlap", showRotation],
  ["A policy denies a token, and names the rule", showPolicy],
  ["Someone leaves: an OwnerBlock revokes all of their tokens", showOffboarding],
  ["The last use of a token is in its status", showLastUse],
  ["Revoking an ApiToken ends its token within a blink", showRevocation],
  ["Deleting an ApiToken ends its token, too", showDeletion],
  ["The nightly cleanup deletes dead tokens", showCleanup],
  ["The metrics", showMetrics],
];

/** Runs the tour. Returns whether every step had the expected outcome. */
export async function runTour(stage: Stage, signal: AbortSignal): Promise<boolean> {
  let isGood = true;
  const tour: Tour = {
    stage,
    kubectl: (...args) => runKubectl(stage, args),
    sql: (text) => runSql(stage, text),
    expect(isAsExpected, text) {
      verdict(isAsExpected, text);
      isGood &&= isAsExpected;
    },
  };
  for (const [index, [title, run]] of STEPS.entries()) {
    if (signal.aborted) return false;
    headline(`${index + 1}/${STEPS.length} ${title}`);
    try {
      await run(tour);
    } catch (error) {
      tour.expect(false, error instanceof Error ? error.message : String(error));
    }
  }
  say("");
  verdict(isGood, isGood ? "every step of the tour succeeded" : "a step of the tour failed");
  return isGood;
}

async function showIssue(tour: Tour): Promise<void> {
  await tour.kubectl("apply", "-f", "examples/hello.yaml", "-f", "examples/shop.yaml");
  const waited = await tour.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "apitokens", "--all");
  await tour.kubectl("get", "apitokens");
  await tour.kubectl("get", "secret", "hello", "shop-api-token", "-L", "team");
  await tour.sql(
    "select id, owner, scopes, left(encode(hash, 'hex'), 16) || '…' as hash, key_id, expires_at from apitoken.tokens",
  );
  tour.expect(waited.code === 0, "both are Ready, and the rows hold keyed hashes, not the tokens");
}

async function showCheck(tour: Tour): Promise<void> {
  const token = await readToken(tour.stage, "hello");
  const forged = token.slice(0, -1) + (token.endsWith("0") ? "1" : "0");
  const greeting = await check(tour.stage, token);
  tour.expect(greeting?.owner === HELLO, `the token is good, and the application learns that it acts for ${HELLO}`);
  tour.expect((await check(tour.stage, forged)) === undefined, "the same token with one character changed is refused");
}

async function showClamping(tour: Tour): Promise<void> {
  await tour.kubectl("apply", "-f", "examples/clamped.yaml");
  await tour.kubectl("wait", "--for=condition=LifetimeClamped", "--timeout=30s", "apitoken/clamped");
  const path = '{.status.effective.duration}: {.status.conditions[?(@.type=="LifetimeClamped")].message}';
  const { text } = await tour.kubectl("get", "apitoken", "clamped", "-o", `jsonpath=${path}`);
  tour.expect(text.startsWith("720h"), "the lifetime is 720h, and the condition gives the reason");
}

async function showRefusals(tour: Tour): Promise<void> {
  for (const name of ["missing-owner", "two-lifetimes", "bad-scope", "changed-owner"]) {
    const { code } = await tour.kubectl("apply", "-f", `examples/refused/${name}.yaml`);
    tour.expect(code !== 0, `${name}.yaml was refused`);
  }
}

async function showRotation(tour: Tour): Promise<void> {
  const before = await readToken(tour.stage, "hello");
  const at = new Date().toISOString();
  await tour.kubectl("annotate", "apitoken", "hello", `apitoken.dev/rotate-requested-at=${at}`);
  await tour.kubectl("wait", `--for=jsonpath={.status.lastHandledRotateAt}=${at}`, "--timeout=30s", "apitoken/hello");
  await tour.kubectl(
    "get",
    "apitoken",
    "hello",
    "-o",
    "jsonpath=revision {.status.revision}, previous token {.status.previous}",
  );
  const after = await readToken(tour.stage, "hello");
  const states = [await check(tour.stage, before), await check(tour.stage, after)].map((greeting) => greeting?.state);
  tour.expect(
    before !== after && states.join() === "ending,live",
    "the Secret holds a new token, and both tokens are good",
  );
}

async function showPolicy(tour: Tour): Promise<void> {
  await tour.kubectl("apply", "-f", "examples/platform/team-policy.yaml");
  await tour.kubectl("get", "apitokenpolicies");
  await tour.kubectl("create", "namespace", "shop");
  await tour.kubectl("label", "namespace", "shop", "team=shop");
  await tour.kubectl("-n", "shop", "apply", "-f", "examples/hello.yaml");
  const denied = '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=PolicyDenied';
  const waited = await tour.kubectl("-n", "shop", "wait", denied, "--timeout=30s", "apitoken/hello");
  const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].message}';
  await tour.kubectl("-n", "shop", "get", "apitoken", "hello", "-o", path);
  tour.expect(waited.code === 0, `the namespace shop gets no token for ${HELLO}`);
}

async function showOffboarding(tour: Tour): Promise<void> {
  await tour.kubectl("apply", "-f", "examples/platform/people-policy.yaml");
  await tour.kubectl("create", "namespace", "lab");
  await tour.kubectl("label", "namespace", "lab", "purpose=people");
  await tour.kubectl("-n", "lab", "apply", "-f", "examples/platform/mallory.yaml");
  await tour.kubectl("-n", "lab", "wait", "--for=condition=Ready", "--timeout=30s", "apitoken/mallory");
  await tour.kubectl("apply", "-f", "examples/platform/owner-block.yaml");
  const blocked = '--for=jsonpath={.status.conditions[?(@.type=="Ready")].reason}=OwnerBlocked';
  const waited = await tour.kubectl("-n", "lab", "wait", blocked, "--timeout=30s", "apitoken/mallory");
  await tour.kubectl("wait", "--for=condition=Effective", "--timeout=30s", "ownerblock/mallory-has-left");
  await tour.kubectl("get", "ownerblocks");
  tour.expect(waited.code === 0, "mallory's token is dead, and none is issued while the block exists");
}

async function showLastUse(tour: Tour): Promise<void> {
  const noted = "select from apitoken.token_uses union all select from apitoken.tokens where last_used_at is not null";
  await until("the verifier reports uses, every 15 s", () => hasRows(tour.stage.databaseUrl, noted));
  await tour.kubectl("patch", "apitoken", "hello", "--type=merge", "-p", '{"spec":{"description":"says hello"}}');
  const waited = await tour.kubectl("wait", "--for=jsonpath={.status.lastUsedAt}", "--timeout=30s", "apitoken/hello");
  await tour.kubectl("get", "apitoken", "hello", "-o", "wide");
  tour.expect(waited.code === 0, "the verifier has reported when the token was last used");
}

async function showRevocation(tour: Tour): Promise<void> {
  const token = await readToken(tour.stage, "hello");
  const requests = keepCalling(tour.stage, token);
  await tour.kubectl("patch", "apitoken", "hello", "--type=merge", "-p", REVOKE);
  await tour.kubectl("wait", "--for=condition=Revoked", "--timeout=30s", "apitoken/hello");
  const { lastGoodMs, good } = await requests.untilRefused();
  await tour.kubectl("get", "apitokens");
  const [row] = await runAsSuperuser<{ revoked_at: Date }>(
    tour.stage.databaseUrl,
    "select revoked_at from apitoken.tokens where name = 'hello' and namespace = 'default' order by revision desc limit 1",
  );
  const lateMs = Math.max(0, lastGoodMs - (row?.revoked_at.getTime() ?? 0));
  say(`${good} requests were let through; the last of them began ${lateMs} ms after the revocation was written.`);
  tour.expect(lateMs < 1_000 && (await check(tour.stage, token)) === undefined, "the token is dead");
}

async function hasRows(url: string, query: string): Promise<boolean> {
  return (await runAsSuperuser(url, query)).length > 0;
}

const REVOKE = '{"spec":{"revoked":true,"revocationReason":"laptop lost"}}';

async function showDeletion(tour: Tour): Promise<void> {
  const token = await readToken(tour.stage, "clamped");
  const deleted = await tour.kubectl("delete", "apitoken", "clamped", "--timeout=30s");
  const secret = await tour.kubectl("get", "secret", "clamped");
  const isDead = (await check(tour.stage, token)) === undefined;
  tour.expect(
    deleted.code === 0 && secret.code !== 0 && isDead,
    "the ApiToken and its Secret are gone, and the token is dead",
  );
  await tour.sql("select occurred_at, event, reason, name, owner from apitoken.security_events order by id");
}

async function showCleanup(tour: Tour): Promise<void> {
  say(
    `A table that was never cleaned: ${DEAD_ROWS.toLocaleString("en-US")} dead tokens and ${LIVE_ROWS.toLocaleString("en-US")} live ones.`,
  );
  await runAsSuperuser(tour.stage.databaseUrl, FILL);
  const dry = await runCleanup(tour.stage, "--dry-run");
  const real = await runCleanup(tour.stage);
  const [left] = await runAsSuperuser<{ live: string; dead: string }>(tour.stage.databaseUrl, COUNT);
  tour.expect(dry.code === 0 && real.code === 0, "both runs succeeded");
  tour.expect(
    Number(left?.live) >= LIVE_ROWS && left?.dead === "0",
    "all dead tokens past their retention are gone, and all live ones remain",
  );
}

/** Fills the table as months of use would. Triggers are off, because these rows were never issued here. */
const FILL = `
  set session_replication_role = replica;
  insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, hash, hash_algorithm,
                               key_id, issued_at, expires_at)
  select lpad(to_hex(n), 12, '0'), '00000000-0000-0000-0000-000000000000', 'legacy', 'token-' || n, gen_random_uuid(), 1,
         'user-' || n % 500, sha256(n::text::bytea), 'hmac-sha256', 'legacy', now() - interval '60 days',
         case when n <= ${DEAD_ROWS} then now() - interval '30 days' else now() + interval '20 days' end
  from generate_series(1, ${DEAD_ROWS + LIVE_ROWS}) n`;

const COUNT = `
  select count(*) filter (where apitoken.is_live(tokens, now())) as live,
         count(*) filter (where expires_at <= now() - interval '7 days') as dead
  from apitoken.tokens where namespace = 'legacy'`;

async function showMetrics(tour: Tour): Promise<void> {
  const { metricsUrl, verifier } = tour.stage;
  const lines = [...(await scrape(metricsUrl)), ...(await scrape(verifier.metricsUrl))];
  tour.expect(lines.includes("apitoken_leading 1"), "the metrics show that the controller leads");
  tour.expect(lines.includes("apitoken_verifier_fresh 1"), "and that the verifier answers from memory");
}

/** Our own metrics, without histograms. */
async function scrape(url: string): Promise<string[]> {
  command(`curl ${url}`);
  const text = await (await fetch(url)).text();
  const ours = text.split("\n").filter((line) => line.startsWith("apitoken_") && !line.includes("_bucket"));
  output(ours.join("\n"));
  return ours;
}
