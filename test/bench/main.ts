/*
 * `npm run bench`: runs the benches one after the other, so that none takes the machine away from another.
 */
import { writeFileSync } from "node:fs";
import { benchBystander } from "./bystander.ts";
import { benchCleanup } from "./cleanup.ts";
import { benchCleanupLarge } from "./cleanup-large.ts";
import { benchCores } from "./cores.ts";
import { benchCreate } from "./create.ts";
import { benchFairness } from "./fairness.ts";
import type { Bench, Figures } from "./figures.ts";
import { benchGrpc } from "./grpc.ts";
import { benchKubectl } from "./kubectl.ts";
import { readMachine } from "./machine.ts";
import { type BenchOptions, formatHelp, readOptions } from "./options.ts";
import { benchOwnerBlock } from "./owner-block.ts";
import { benchPartition } from "./partition.ts";
import { formatRecord } from "./record.ts";
import { formatComparison, formatFigures } from "./report.ts";
import { benchRestart } from "./restart.ts";
import { benchRevoked } from "./revoked.ts";
import { benchRotate } from "./rotate.ts";
import { benchStartup } from "./startup.ts";
import { benchTiming } from "./timing.ts";
import { benchVerify } from "./verify.ts";

const BENCHES: Readonly<Record<string, Bench>> = {
  startup: benchStartup,
  create: benchCreate,
  restart: benchRestart,
  rotate: benchRotate,
  "owner-block": benchOwnerBlock,
  fairness: benchFairness,
  cleanup: benchCleanup,
  "cleanup-large": benchCleanupLarge,
  bystander: benchBystander,
  partition: benchPartition,
  verify: benchVerify,
  cores: benchCores,
  grpc: benchGrpc,
  revoked: benchRevoked,
  kubectl: benchKubectl,
  timing: benchTiming,
};

const options = readCommandLine();
if (options.needsHelp) process.stdout.write(formatHelp(Object.keys(BENCHES)));
else await runBenches(options);

function readCommandLine(): BenchOptions {
  try {
    return readOptions(process.argv.slice(2), Object.keys(BENCHES));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${formatHelp(Object.keys(BENCHES))}`);
    process.exit(2);
  }
}

async function runBenches({ only, json, before }: BenchOptions): Promise<void> {
  const machine = await readMachine();
  const figures: Figures = {};
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (only !== undefined && only !== name) continue;
    const tell = (text: string) => process.stderr.write(`${name}: ${text}\n`);
    tell("begins");
    Object.assign(figures, await bench(tell));
  }
  const record = { date: new Date().toISOString(), machine, figures };
  // First, so that a fault in what follows does not lose what took an hour to measure.
  if (json !== undefined) writeFileSync(json, formatRecord(record));
  process.stdout.write(`${formatFigures(record)}\n`);
  if (before !== undefined) process.stdout.write(`\n${formatComparison(before.record, record)}\n`);
}
