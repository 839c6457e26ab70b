/*
 * The figures as tables for people, next to what they should reach or to an earlier run.
 */
import { formatMachine } from "./machine.ts";
import type { BenchRecord } from "./record.ts";

/** What the figures should reach. Those without a bar exist to be compared with the next run. */
const BARS: Readonly<Record<string, readonly ["≤" | "≥", number]>> = {
  startup_ms: ["≤", 300],
  create_over_bare: ["≤", 1.5],
  restart_writes: ["≤", 0],
  controller_rss_mib: ["≤", 150],
  rotate_over_create: ["≤", 1.5],
  owner_block_seconds: ["≤", 60],
  owner_erase_seconds: ["≤", 120],
  revocation_ms_of_1000: ["≤", 1_000],
  revocation_ms_of_1900: ["≤", 1_000],
  locked_owner_others_ms: ["≤", 2_000],
  conflicts_idle_cpu_percent: ["≤", 4],
  cleanup_summary_over_raw: ["≥", 0.75],
  cleanup_rows_over_raw: ["≥", 0.6],
  cleanup_large_over_small: ["≤", 1.2],
  cleanup_rss_mib: ["≤", 120],
  bystander_read_p99_over_idle: ["≤", 2],
  bystander_insert_p99_over_idle: ["≤", 2],
  partition_over_raw: ["≤", 1.3],
  verifier_listening_ms: ["≤", 300],
  verifier_warm_start_seconds: ["≤", 3],
  revoked_seen_p99_ms: ["≤", 50],
  verify_over_bare: ["≥", 0.8],
  verify_all_cores_over_bare: ["≥", 0.8],
  verify_p99_over_bare: ["≤", 2],
  verify_statements_per_1000: ["≤", 1],
  introspect_over_bare: ["≥", 0.6],
  grpc_over_bare: ["≥", 0.6],
  verifier_rss_mib: ["≤", 150],
  flood_refused: ["≥", 2_000_000],
  flood_good_p99_ms: ["≤", 5],
  kubectl_startup_ms: ["≤", 200],
  kubectl_status_ms: ["≤", 1_000],
  kubectl_status_one_ms: ["≤", 1_000],
  kubectl_status_id_ms: ["≤", 1_000],
  kubectl_check_ms: ["≤", 1_000],
  kubectl_bytes: ["≤", 2_000_000],
};

/** One line per figure with its bar, below a line on the machine. */
export function formatFigures({ machine, figures }: BenchRecord): string {
  const rows = Object.entries(figures).map(([key, value]) =>
    `  ${key.padEnd(32)}${formatNumber(value).padStart(12)}  ${describeBar(key, value)}`.trimEnd(),
  );
  return [`on ${formatMachine(machine)}`, ...rows].join("\n");
}

/** One line per figure that either run has: before, now, and the change in percent. Warns if the machines differ. */
export function formatComparison(earlier: BenchRecord, current: BenchRecord): string {
  const [before, now] = [earlier.figures, current.figures];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  const rows = keys.map((key) => {
    const cells = [before[key], now[key]].map((value) => (value === undefined ? "-" : formatNumber(value)));
    const [oldCell = "", newCell = ""] = cells.map((cell) => cell.padStart(12));
    const bar = now[key] === undefined ? "" : describeBar(key, now[key]);
    return `  ${key.padEnd(32)}${oldCell}${newCell}${describeChange(before[key], now[key]).padStart(10)}  ${bar}`.trimEnd();
  });
  return [
    ...describeOrigin(earlier, current),
    `  ${"figure".padEnd(32)}${"before".padStart(12)}${"now".padStart(12)}${"change".padStart(10)}`,
    ...rows,
  ].join("\n");
}

/** When the earlier run was and, if it was on another machine, on which. */
function describeOrigin(earlier: BenchRecord, current: BenchRecord): string[] {
  const [before, now] = [earlier, current].map(({ machine }) => formatMachine(machine));
  const since = `compared with the run of ${earlier.date.slice(0, 10)}`;
  return before === now ? [since] : [`${since}, which was on another machine or other versions:`, `  ${before}`];
}

function describeChange(before: number | undefined, now: number | undefined): string {
  if (before === undefined || now === undefined || before === now || before === 0) return "";
  const percent = (now / before - 1) * 100;
  return `${percent > 0 ? "+" : ""}${percent.toFixed(1)} %`;
}

function describeBar(key: string, value: number): string {
  const [sign, bar] = BARS[key] ?? [];
  if (sign === undefined || bar === undefined) return "";
  const isReached = sign === "≤" ? value <= bar : value >= bar;
  return `${sign} ${bar}${isReached ? "" : "  not reached"}`;
}

function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}
