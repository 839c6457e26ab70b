import { ConfigError, readOptions } from "../../runtime/config.ts";
import { createLogger } from "../../runtime/log.ts";
import { EXIT_DONE } from "../../runtime/program.ts";
import { isColoured } from "../../runtime/terminal.ts";
import { readControllerConfig } from "../config.ts";
import { connect, inventIdentity } from "../startup.ts";
import { diagnose } from "./doctor.ts";
import { createProgress } from "./progress.ts";
import { type DoctorReport, formatReport } from "./report.ts";

/** The doctor has found differences, or could not mend all of them. */
export const EXIT_DIFFERENCES = 5;

const HELP = `Compares cluster and database, and says of each difference what mends it. Writes nothing without --fix.

Usage: controller doctor [--fix] [-o json]

  --fix           mend what can be mended, with the controller's own code, and compare again; only while no
                  controller leads: one that leads does the same at its next pass
  -o, --output    text (a table on a terminal, a line for each difference elsewhere) or json    [text]
  --help          print this

Settings are the controller's environment variables; see controller --help.

Exit codes: 0 no differences, 1 failed, 2 bad usage, 5 differences.
`;

/** `controller doctor`; returns its exit code. */
export async function runDoctor(args: string[], environment: NodeJS.ProcessEnv, stop: AbortSignal): Promise<number> {
  const { values, positionals } = readOptions(args, {
    help: { type: "boolean" },
    fix: { type: "boolean" },
    output: { type: "string", short: "o", default: "text" },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT_DONE;
  }
  if (positionals.length > 0) throw new ConfigError(`unknown argument "${positionals[0]}"`);
  if (values.output !== "text" && values.output !== "json") {
    throw new ConfigError(`--output is "${values.output}": must be text or json`);
  }
  const config = readControllerConfig(environment);
  const identity = inventIdentity("doctor-");
  const log = createLogger("controller doctor", "error");
  const { transport, db, close } = await connect(config, identity, log);
  const progress = createProgress(process.stderr);
  try {
    const options = { config, transport, db, identity, log, signal: stop, onProgress: progress.update };
    const report = await diagnose(options, values.fix ?? false).finally(progress.end);
    process.stdout.write(
      values.output === "json" ? `${JSON.stringify(toJson(report), null, 2)}\n` : format(report, environment),
    );
    return report.findings.length === 0 ? EXIT_DONE : EXIT_DIFFERENCES;
  } finally {
    await close();
  }
}

function format(report: DoctorReport, environment: NodeJS.ProcessEnv): string {
  const { isTTY, columns } = process.stdout;
  return formatReport(report, {
    width: isTTY ? (columns ?? 100) : undefined,
    useColours: isColoured(process.stdout, environment),
  });
}

function toJson({ findings, ...rest }: DoctorReport): object {
  return {
    ...rest,
    findings: findings.map(({ mend, ...finding }) => ({ ...finding, isMendable: mend !== undefined })),
  };
}
