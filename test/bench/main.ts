import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { benchBystander } from "./bystander.ts";
import { benchCleanup } from "./cleanup.ts";
import { benchCleanupLarge } from "./cleanup-large.ts";
import { benchCreate } from "./create.ts";
import type { Bench, Figures } from "./figures.ts";
import { benchPartition } from "./partition.ts";
import { formatComparison, formatFigures } from "./report.ts";
import { benchRestart } from "./restart.ts";
import { benchRotate } from "./rotate.ts";
import { benchStartup } from "./startup.ts";

const BENCHES: Readonly<Record<string, Bench>> = {
  startup: benchStartup,
  create: benchCreate,
  restart: benchRestart,
  rotate: benchRotate,
  cleanup: benchCleanup,
  "cleanup-large": benchCleanupLarge,
  bystander: benchBystander,
  partition: benchPartition,
};

const HELP = `npm run bench: measures the programs against what the machine can do at best, in one run

  npm run bench                     all of it, as a table
  npm run bench -- --only NAME      one of ${Object.keys(BENCHES).join(", ")}
  npm run bench -- --json FILE      also writes the figures to FILE, as one flat object
  npm run bench -- --compare FILE   also prints how they differ from those that --json wrote to FILE
  npm run bench -- --help           print this
`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    json: { type: "string" },
    compare: { type: "string" },
    help: { type: "boolean" },
  },
});

if (options.help) {
  process.stdout.write(HELP);
} else if (options.only !== undefined && !Object.hasOwn(BENCHES, options.only)) {
  process.stderr.write(`there is no bench "${options.only}"\n\n${HELP}`);
  process.exitCode = 2;
} else {
  await runBenches();
}

async function runBenches(): Promise<void> {
  // Read first: a mistyped name must not cost an hour.
  const before =
    options.compare === undefined ? undefined : (JSON.parse(readFileSync(options.compare, "utf8")) as Figures);
  const figures: Figures = {};
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (options.only !== undefined && options.only !== name) continue;
    const tell = (text: string) => process.stderr.write(`${name}: ${text}\n`);
    tell("begins");
    Object.assign(figures, await bench(tell));
  }
  process.stdout.write(`${formatFigures(figures)}\n`);
  if (before !== undefined) process.stdout.write(`\n${formatComparison(before, figures)}\n`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(figures, undefined, 2)}\n`);
}
