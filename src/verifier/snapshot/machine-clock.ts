/*
 * How much time has passed while a program was not running. The time of day cannot say that: somebody may set it, and it may have
 * been wrong. The time since the machine started can, as long as it is the same start.
 */
import { readFileSync } from "node:fs";

/** The time since the machine's last start. */
export interface MachineClock {
  /** Identifies the start: times of different starts cannot be compared. Undefined if the machine does not say. */
  readonly startId: string | undefined;
  /** Milliseconds since then. Nobody can set it. */
  nowMs(): number;
}

const START_ID_FILE = "/proc/sys/kernel/random/boot_id";

/** The clock of this machine. */
export function readMachineClock(): MachineClock {
  return { startId: readStartId(), nowMs: () => Number(process.hrtime.bigint() / 1_000n) / 1_000 };
}

function readStartId(): string | undefined {
  try {
    return readFileSync(START_ID_FILE, "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}
