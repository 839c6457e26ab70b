import type { Writable } from "node:stream";

/** Says how far a run is. */
export interface Progress {
  update(fraction: number, deleted: number): void;
  /** Leaves the line to what is printed next. */
  end(): void;
}

const TERMINAL_INTERVAL_MS = 200;
const PLAIN_INTERVAL_MS = 10_000;

/** On a terminal one line that is rewritten; elsewhere a line now and then, and none for a run of seconds. */
export function createProgress(output: Writable & { readonly isTTY?: boolean }, rowsDue: number): Progress {
  const startedAtMs = performance.now();
  const intervalMs = output.isTTY ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS;
  let saidAtMs = startedAtMs;
  let hasLine = false;
  return {
    update(fraction, deleted) {
      const nowMs = performance.now();
      if (nowMs - saidAtMs < intervalMs) return;
      saidAtMs = nowMs;
      const elapsedMs = nowMs - startedAtMs;
      const rate = Math.round(deleted / (elapsedMs / 1_000)).toLocaleString("en-US");
      const leftSeconds = Math.ceil((elapsedMs * (1 - fraction)) / fraction / 1_000);
      const text = `${Math.floor(fraction * 100)} % · ${deleted.toLocaleString("en-US")} of ${rowsDue.toLocaleString("en-US")} rows · ${rate} rows/s · ${leftSeconds} s left`;
      output.write(output.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
      hasLine = output.isTTY === true;
    },
    end() {
      if (hasLine) output.write("\r\x1b[K");
    },
  };
}
