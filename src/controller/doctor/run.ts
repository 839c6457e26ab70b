/*
 * `controller doctor` as a process: connections, progress, output and exit code around the examination.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { inventIdentity } from "../../runtime/identity.ts";
import { createLogger } from "../../runtime/log.ts";
import { isColoured } from "../../runtime/terminal.ts";
import { createTokenHasher } from "../../runtime/token-hash.ts";
import { readControllerConfig } from "../config.ts";
import { connect } from "../startup.ts";
import { diagnose } from "./doctor.ts";
import { createProgress } from "./progress.ts";
import { type DoctorReport, formatReport } from "./report.ts";

interface DoctorOptions {
  readonly fix: boolean;
  readonly output: "text" | "json";
  readonly color: boolean | undefined;
}

/** The width of a terminal that does not report one. */
const DEFAULT_WIDTH = 100;

/** `controller doctor`; returns its exit code. */
export async function runDoctor(context: CommandContext<DoctorOptions>): Promise<number> {
  const { options, environment, stop } = context;
  const config = readControllerConfig(environment);
  const identity = inventIdentity("doctor-");
  const log = createLogger("controller doctor", "error");
  const { transport, db, close } = await connect(config, identity, log);
  const progress = createProgress(process.stderr);
  try {
    const examination = {
      config,
      transport,
      db,
      hasher: createTokenHasher(),
      identity,
      log,
      signal: stop,
      onProgress: progress.update,
    };
    const report = await diagnose(examination, options.fix).finally(progress.end);
    process.stdout.write(options.output === "json" ? formatJson(report) : formatText(report, context));
    return report.findings.length === 0 ? EXIT.done : EXIT.differences;
  } finally {
    await close();
  }
}

function formatText(report: DoctorReport, { options, environment }: CommandContext<DoctorOptions>): string {
  const { isTTY, columns = DEFAULT_WIDTH } = process.stdout;
  return formatReport(report, {
    width: isTTY ? columns : undefined,
    useColours: isColoured(process.stdout, environment, options.color),
  });
}

function formatJson({ findings, ...rest }: DoctorReport): string {
  const described = findings.map(({ fix, ...finding }) => ({ ...finding, isFixable: fix !== undefined }));
  return `${JSON.stringify({ ...rest, findings: described }, null, 2)}\n`;
}
