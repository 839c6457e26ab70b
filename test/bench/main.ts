import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { benchBystander } from "./bystander.ts";
import { benchCleanup } from "./cleanup.ts";
import { benchCleanupLarge } from "./cleanup-large.ts";
import { benchCreate } from "./create.ts";
import type { Bench, Figures } from "./figures.ts";
import { benchPartition } from "./partition.ts";
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
  npm run bench -- --help           print this
`;

/** What the figures should reach; for those without a bar the figure is there to be compared with the next one. */
const BARS: Readonly<Record<string, readonly ["≤" | "≥", number]>> = {
  startup_ms: ["≤", 300],
  create_over_bare: ["≤", 1.5],
  restart_writes: ["≤", 0],
  controller_rss_mib: ["≤", 150],
  rotate_over_create: ["≤", 1.5],
  cleanup_summary_over_raw: ["≥", 0.7],
  cleanup_rows_over_raw: ["≥", 0.4],
  cleanup_large_over_small: ["≤", 1.2],
  cleanup_rss_mib: ["≤", 120],
  bystander_read_p99_over_idle: ["≤", 2],
  bystander_insert_p99_over_idle: ["≤", 3],
  partition_speedup: ["≥", 50],
};

const { values: options } = parseArgs({
  options: { only: { type: "string" }, json: { type: "string" }, help: { type: "boolean" } },
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
  const figures: Figures = {};
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (options.only !== undefined && options.only !== name) continue;
    const tell = (text: string) => process.stderr.write(`${name}: ${text}\n`);
    tell("begins");
    Object.assign(figures, await bench(tell));
  }
  process.stdout.write(`${formatTable(figures)}\n`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(figures, undefined, 2)}\n`);
}

function formatTable(figures: Figures): string {
  const rows = Object.entries(figures).map(([key, value]) => {
    const [sign, bar] = BARS[key] ?? [];
    const isReached = sign === undefined || bar === undefined || (sign === "≤" ? value <= bar : value >= bar);
    const shown = Number.isInteger(value) ? String(value) : value.toFixed(2);
    return `  ${key.padEnd(32)}${shown.padStart(12)}  ${sign ? `${sign} ${bar}` : ""}${isReached ? "" : "  not reached"}`.trimEnd();
  });
  const gib = Math.round(totalmem() / 2 ** 30);
  return [`on ${cpus().length} cores, ${gib} GiB, Node ${process.versions.node}`, ...rows].join("\n");
}
