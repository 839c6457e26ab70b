/*
 * The configuration file as text: YAML, with messages that name the place of a fault.
 */
import { readFileSync } from "node:fs";
import { LineCounter, parseDocument } from "yaml";
import { ConfigError } from "../runtime/config.ts";
import { type ConfigFile, configFileSchema } from "./target/config.ts";

const FILE_INVALID = "APITOKEN_E_CONFIG_FILE_INVALID";

/** Reads the YAML file. Throws a ConfigError that names file, place, fault and remedy. */
export function readConfigFile(path: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`cannot read the configuration file: ${(error as Error).message}`, {
      faultCode: FILE_INVALID,
      cause: error,
    });
  }
  return parseConfigFile(text, path);
}

/** Like `readConfigFile`, for a text. `name` is what messages call it. */
export function parseConfigFile(text: string, name: string): ConfigFile {
  const lineCounter = new LineCounter();
  // No "pretty" errors: they would repeat a part of the file.
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: false, lineCounter });
  const [fault] = document.errors;
  if (fault) {
    const { line, col } = lineCounter.linePos(fault.pos[0]);
    const problem = `${name}: ${fault.message} at line ${line}, column ${col}`;
    throw new ConfigError(problem, { faultCode: FILE_INVALID, cause: fault });
  }
  const result = configFileSchema.safeParse(document.toJS() ?? {});
  if (!result.success) {
    throw new ConfigError(
      result.error.issues.map(({ path, message }) => `${name}: ${formatPath(path)}: ${message}`).join("\n"),
      { faultCode: FILE_INVALID },
    );
  }
  return result.data;
}

/** As in `targets[0].table`. */
function formatPath(path: readonly PropertyKey[]): string {
  return (
    path.reduce<string>(
      (shown, key) => (typeof key === "number" ? `${shown}[${key}]` : `${shown}${shown && "."}${String(key)}`),
      "",
    ) || "the file"
  );
}
