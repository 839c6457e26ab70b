#!/usr/bin/env node
import { ConfigError, readOptions } from "../runtime/config.ts";
import { EXIT_DONE, runProgram } from "../runtime/program.ts";
import { VERSION } from "../runtime/version.ts";
import { HELP } from "./help.ts";

await runProgram("cleanup", async (stop) => {
  const { values, positionals } = readOptions(process.argv.slice(2), {
    help: { type: "boolean", short: "h" },
    version: { type: "boolean" },
    config: { type: "string", short: "c" },
    "dry-run": { type: "boolean" },
    output: { type: "string", short: "o" },
    "max-fraction": { type: "string" },
    "max-duration": { type: "string" },
    "max-rows": { type: "string" },
    schedule: { type: "string" },
    timezone: { type: "string" },
    rows: { type: "string" },
    dead: { type: "string" },
    partitioned: { type: "boolean" },
  });
  if (values.help || values.version) {
    process.stdout.write(values.help ? HELP : `${VERSION}\n`);
    return EXIT_DONE;
  }
  const [command = "run", ...rest] = positionals;
  const { rows, dead, partitioned, schedule, timezone, ...options } = values;
  if (command === "demo-table") {
    // Loaded late, like all that follows: --help answers at once.
    const { fillDemoTable } = await import("./demo-table.ts");
    if (rest.length !== 1)
      throw new ConfigError("demo-table needs the name of a table that does not exist yet, such as app.demo");
    return fillDemoTable(
      rest[0] ?? "",
      { rows, dead, partitioned } as Parameters<typeof fillDemoTable>[1],
      process.env,
    );
  }
  for (const [name, value] of Object.entries({ rows, dead, partitioned })) {
    if (value !== undefined) throw new ConfigError(`--${name} is an option of "cleanup demo-table" alone`);
  }
  if (rest.length > 0) throw new ConfigError(`${JSON.stringify(rest[0])} is too much after ${command}`);
  const { createOutput, readConfig, start } = await import("./run.ts");
  const config = readConfig(options, process.env);
  const useColours = process.env.NO_COLOR === undefined && process.stdout.isTTY === true;
  switch (command) {
    case "run": {
      const output = createOutput(config, process.env, schedule !== undefined);
      if (schedule === undefined) {
        if (timezone !== undefined) throw new ConfigError("--timezone is that of --schedule, which is not there");
        return start(config, output, stop);
      }
      const { readSchedule, runOnSchedule } = await import("./schedule.ts");
      return runOnSchedule(readSchedule(schedule, timezone), () => start(config, output, stop), output.log, stop);
    }
    case "validate":
      return (await import("./validate.ts")).validate(config, useColours);
    case "stats":
      return (await import("./stats.ts")).printStats(config, useColours);
    default:
      throw new ConfigError(
        `${JSON.stringify(command)} is not a command of cleanup; there are validate, stats and demo-table`,
      );
  }
});
