/*
 * `cleanup validate`: checks the configuration against the live database, so that mistakes are found before the first run.
 */
import { chooseCutoffs, countRows, countTarget } from "../postgres/cleanup/counts.ts";
import { readServerState } from "../postgres/cleanup/pressure.ts";
import { prepareRun } from "../postgres/cleanup/runs.ts";
import type { CleanupTarget } from "../postgres/cleanup/target.ts";
import { requireSchema } from "../postgres/migrations.ts";
import type { CommandContext } from "../runtime/command/declare.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { createPaint, isColoured, type Style } from "../runtime/terminal.ts";
import { formatCount, stripControls } from "../runtime/text.ts";
import { readCleanupConfig } from "./config.ts";
import { openCleanupDatabase } from "./database.ts";
import type { ValidateOptions } from "./options.ts";
import { formatRetention } from "./report/format.ts";
import { previewPartitions } from "./run/partitions.ts";
import { findExcess, findObstruction } from "./run/safety.ts";
import type { CheckedTarget } from "./target/check.ts";
import type { CheckFinding } from "./target/finding.ts";
import { checkTargets } from "./target/targets.ts";

/** A target, and what a run would do to it now. */
interface Validated extends Pick<CheckedTarget, "name" | "findings"> {
  readonly plan: string | undefined;
}

/** `cleanup validate`; returns its exit code. Writes nothing. */
export async function runValidate({ options, environment }: CommandContext<ValidateOptions>): Promise<number> {
  const config = readCleanupConfig(options, environment);
  const db = await openCleanupDatabase(config);
  try {
    return await db.withConnection(async (session) => {
      await prepareRun(session);
      await requireSchema(session);
      const state = await readServerState(session);
      const obstruction = findObstruction(state);
      const validated: Validated[] = [];
      for (const { name, target, findings } of await checkTargets(session, config)) {
        const plan = target === undefined ? undefined : await describePlan(session, target);
        validated.push({ name, findings, plan });
      }
      const server: CheckFinding[] = [
        ...(obstruction === undefined ? [] : [{ level: "error" as const, message: obstruction.message }]),
        ...(state.seesReplicas
          ? []
          : [
              {
                level: "note" as const,
                message:
                  "the replicas' lag cannot be seen, so no run pauses for it: grant pg_monitor to apitoken_cleanup",
              },
            ]),
      ];
      process.stdout.write(
        options.output === "json"
          ? `${JSON.stringify({ server, targets: validated })}\n`
          : formatValidation(server, validated, isColoured(process.stdout, environment, options.color)),
      );
      const hasErrors = validated.some(({ findings }) => findings.some(({ level }) => level === "error"));
      return hasErrors ? EXIT.badUsage : obstruction === undefined ? EXIT.done : EXIT.failed;
    });
  } finally {
    await db.close();
  }
}

async function describePlan(session: Parameters<typeof countTarget>[0], target: CleanupTarget): Promise<string> {
  const cutoffs = await chooseCutoffs(session, target.retention);
  const counts = await countTarget(session, target, cutoffs);
  const { dropped } = await previewPartitions(session, target, cutoffs.expiredBefore);
  const excess = findExcess(target.name, counts, target.maxFraction);
  const { expiredMs, revokedMs } = target.retention;
  const hasRevocation = target.revokedAt !== undefined || target.revoked !== undefined;
  return [
    `would delete ${formatCount(countRows(counts.due))} of ${counts.isEstimate ? "about " : ""}${formatCount(counts.total)} rows`,
    `: expired for ${formatRetention(expiredMs)}${hasRevocation ? `, revoked for ${formatRetention(revokedMs)}` : ""}`,
    `; audit ${target.audit}`,
    target.key.length > 0 ? `; key ${target.key.join(", ")}` : "; no key",
    dropped.length > 0 ? `; ${dropped.length} partitions dropped as a whole` : "",
    excess === undefined ? "" : ". REFUSED BY THE CAP",
  ].join("");
}

const STYLES: Readonly<Record<CheckFinding["level"], Style>> = { error: "red", warning: "yellow", note: "dim" };

function formatValidation(server: readonly CheckFinding[], targets: readonly Validated[], useColours: boolean): string {
  const paint = createPaint(useColours);
  const show = ({ level, message }: CheckFinding) => `  ${paint(STYLES[level], level)}: ${stripControls(message)}`;
  const lines = [
    ...(server.length === 0 ? [] : [paint("bold", "server"), ...server.map(show)]),
    ...targets.flatMap(({ name, plan, findings }) => [
      paint("bold", stripControls(name)),
      ...(plan === undefined ? [] : [`  ${stripControls(plan)}`]),
      ...findings.map(show),
    ]),
  ];
  return `${lines.join("\n")}\n`;
}
