/*
 * The cleanup against an oracle: random tables, of which an oracle in plain SQL works out row by row what may go.
 */
import { randomInt } from "node:crypto";
import pg from "pg";
import { expect, test } from "vitest";
import type { Case } from "../../support/cleanup-oracle/case.ts";
import { comparePreview, compareReport, compareRows, compareTrail } from "../../support/cleanup-oracle/compare.ts";
import { generateCase } from "../../support/cleanup-oracle/generate.ts";
import { type Ask, createOracle, judge, type Verdict } from "../../support/cleanup-oracle/oracle.ts";
import { formatCopy, formatRows, formatSchema, formatTargets } from "../../support/cleanup-oracle/schema.ts";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { writeConfig } from "./team-table.ts";

/** ORACLE_SEED repeats one case; ORACLE_COUNT takes that many from it on. Without a seed they are new ones. */
const { ORACLE_SEED, ORACLE_COUNT = ORACLE_SEED === undefined ? "24" : "1" } = process.env;
const FIRST_SEED = ORACLE_SEED === undefined ? randomInt(2 ** 31) : Number(ORACLE_SEED);

/** The database's clock stands still at this moment, which is odd to the microsecond. */
const NOW = { micros: BigInt(Date.parse("2031-05-17T21:40:07Z")) * 1_000n + 123_457n };

interface Trial {
  readonly seed: number;
  readonly each: Case;
  readonly verdicts: readonly Verdict[];
}

test(`of any tables exactly those rows go that the oracle says (ORACLE_SEED=${FIRST_SEED} ORACLE_COUNT=${ORACLE_COUNT})`, {
  timeout: 60_000 + Number(ORACLE_COUNT) * 5_000,
}, async () => {
  const url = await createTestDatabase();
  const client = new pg.Client({ connectionString: url, options: "-c timezone=UTC" });
  await client.connect();
  const ask: Ask = async (sql) => (await client.query(sql)).rows;
  try {
    await createOracle(ask, NOW);
    const [server] = await ask<{ version: number }>(
      "select current_setting('server_version_num')::integer / 10000 as version",
    );
    const trials: Trial[] = [];
    for (let place = 0; place < Number(ORACLE_COUNT); place += 1)
      trials.push(await prepare(ask, FIRST_SEED + place, place, server?.version ?? 0));
    const targets = trials.flatMap(({ each }) => formatTargets(each));

    const dry = await clean(url, targets, "--dry-run");
    const confirmed = targets.map((target) => ({
      ...target,
      confirm: dry.report.targets.find(({ table }) => table === target.name)?.definition,
    }));
    const run = await clean(url, confirmed);

    const faults: { readonly trial: Trial; readonly differences: string[] }[] = [];
    for (const trial of trials) {
      const { each, verdicts } = trial;
      const differences = [
        ...comparePreview(dry.report, each, verdicts),
        ...(await compareRows(ask, each)),
        ...compareReport(run.report, each, verdicts),
        ...(await compareTrail(ask, each, verdicts)),
      ];
      if (differences.length > 0) faults.push({ trial, differences });
    }
    expect(faults.length, describeFaults(faults)).toBe(0);
    expect(await findSecrets(ask)).toEqual([]);
    expect([dry.stdout, run.stdout, run.stderr].join("")).not.toContain("secret-");
    expect(run.exitCode, run.stderr).toBe(0);
  } finally {
    await client.end();
  }
});

/** Creates the tables twice, for the cleanup and for the oracle, and has the oracle judge them. */
async function prepare(ask: Ask, seed: number, number: number, version: number): Promise<Trial> {
  const each = generateCase(seed, number, NOW, version);
  try {
    await ask(formatSchema(each, `c${number}`));
    await ask(formatSchema(each, `o${number}`));
    await ask(formatRows(each, `c${number}`));
    await ask(formatCopy(each, `c${number}`, `o${number}`));
    return { seed, each, verdicts: await judge(ask, each, NOW) };
  } catch (error) {
    throw new Error(describe(seed, each, [`not prepared: ${(error as Error).message}`]), { cause: error });
  }
}

const clean = (url: string, targets: readonly object[], ...args: string[]) =>
  runCleanup(
    url,
    ["-o", "json", "--max-fraction", "1", "--config", writeConfig(JSON.stringify({ targets })), ...args],
    {
      APITOKEN_CLEANUP_BUSY_SHARE: "1",
    },
  );

/** What is stored about rows whose keys are secrets. */
async function findSecrets(ask: Ask): Promise<unknown[]> {
  return ask(
    `select e::text from apitoken.security_events e where e::text like '%secret-%'
     union all select r::text from apitoken.cleanup_runs r where r::text like '%secret-%'`,
  );
}

/** A few differences of each case, and all of the smallest case, which is the easiest to understand. */
function describeFaults(faults: readonly { readonly trial: Trial; readonly differences: readonly string[] }[]): string {
  const shown = faults.map(({ trial, differences }) =>
    [`ORACLE_SEED=${trial.seed}:`, ...differences.slice(0, 6)].map((line) => line.slice(0, 400)).join("\n  "),
  );
  const whole = faults
    .map(({ trial: { seed, each }, differences }) => describe(seed, each, differences))
    .sort((left, right) => left.length - right.length);
  return [...shown, ...whole.slice(0, 1)].join("\n");
}

function describe(seed: number, each: Case, differences: readonly string[]): string {
  return [
    ...differences,
    `ORACLE_SEED=${seed}`,
    JSON.stringify({ targets: formatTargets(each) }, null, 1),
    formatSchema(each, `c${each.number}`),
    formatRows(each, `c${each.number}`),
  ].join("\n");
}
