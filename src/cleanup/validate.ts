/*
 * `cleanup validate`: checks the configuration against the live database, so that mistakes are found before the first run.
 */
import { readServerState } from "../postgres/cleanup/pressure.ts";
import { prepareRun } from "../postgres/cleanup/runs.ts";
import type { Queryable } from "../postgres/database.ts";
import { requireSchema } from "../postgres/schema-version.ts";
import type { CommandContext } from "../runtime/command/declare.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { isColoured } from "../runtime/terminal.ts";
import { type CleanupConfig, readCleanupConfig } from "./config.ts";
import { openCleanupDatabase } from "./database.ts";
import type { ValidateOptions } from "./options.ts";
import { createPatience, type Patience } from "./patience.ts";
import { findObstruction } from "./run/safety.ts";
import type { CheckFinding } from "./target/finding.ts";
import { checkTargets } from "./target/targets.ts";
import { formatInspections } from "./validate/format.ts";
import { type Inspection, inspectTarget, startInspection } from "./validate/inspect.ts";

interface Validation {
  readonly server: readonly CheckFinding[];
  readonly targets: readonly Inspection[];
}

/** `cleanup validate`; returns its exit code. Writes nothing. */
export async function runValidate({ options, environment, stop }: CommandContext<ValidateOptions>): Promise<number> {
  const config = readCleanupConfig(options, environment);
  const db = await openCleanupDatabase(config);
  const patience = createPatience(process.stderr);
  let validation: Validation;
  try {
    validation = await db.withConnection((session) => validate(session, config, patience, stop));
  } finally {
    patience.end();
    await db.close();
  }
  const { server, targets } = validation;
  process.stdout.write(
    options.output === "json"
      ? `${JSON.stringify(validation)}\n`
      : formatInspections(server, targets, isColoured(process.stdout, environment, options.color)),
  );
  const hasErrors = targets.some(({ findings }) => findings.some(isError));
  return hasErrors ? EXIT.badUsage : server.some(isError) ? EXIT.failed : EXIT.done;
}

const isError = ({ level }: CheckFinding) => level === "error";

async function validate(
  session: Queryable,
  config: CleanupConfig,
  patience: Patience,
  stop: AbortSignal,
): Promise<Validation> {
  await prepareRun(session);
  await requireSchema(session);
  const server = await checkServer(session);
  patience.begin("reading the catalog");
  const checked = await checkTargets(session, config);
  const context = await startInspection(session, config);
  const targets: Inspection[] = [];
  for (const [place, target] of checked.entries()) {
    stop.throwIfAborted();
    patience.begin(`counting ${target.name} (${place + 1} of ${checked.length})`);
    targets.push(await inspectTarget(session, target, context));
  }
  return { server, targets };
}

async function checkServer(session: Queryable): Promise<CheckFinding[]> {
  const state = await readServerState(session);
  const obstruction = findObstruction(state);
  return [
    ...(obstruction === undefined ? [] : [{ level: "error" as const, message: obstruction.message }]),
    ...(state.seesReplicas
      ? []
      : [
          {
            level: "note" as const,
            message: "the replicas' lag cannot be seen, so no run pauses for it: grant pg_monitor to apitoken_cleanup",
          },
        ]),
  ];
}
