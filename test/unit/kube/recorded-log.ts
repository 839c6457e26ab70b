/*
 * Some tests are about what is logged, and how often: each new fault once, and never a Secret.
 */
import { pino } from "pino";
import type { Logger } from "../../../src/runtime/log.ts";

export interface RecordedLog {
  readonly log: Logger;
  readonly records: readonly (Record<string, unknown> & { readonly msg: string; readonly level: number })[];
}

/** A logger that keeps its records. */
export function createRecordedLog(): RecordedLog {
  const records: RecordedLog["records"][number][] = [];
  return { records, log: pino({ level: "debug" }, { write: (line: string) => void records.push(JSON.parse(line)) }) };
}
