import type { Writable } from "node:stream";

const FIRST_MS = 2_000;
const TERMINAL_INTERVAL_MS = 200;
const PLAIN_INTERVAL_MS = 5_000;

/** Says how far the doctor is, when that takes longer than two seconds. */
export interface Progress {
  /** So many of the ApiTokens were looked at. */
  update(done: number, all: number): void;
  /** Leaves the line to what is printed next. */
  end(): void;
}

/** On a terminal one line that is rewritten, elsewhere a line now and then. */
export function createProgress(stream: Writable, isTerminal: boolean): Progress {
  let startedAtMs: number | undefined;
  let saidAtMs = Number.NEGATIVE_INFINITY;
  const say = (text: string) => {
    saidAtMs = performance.now();
    stream.write(isTerminal ? `\r\x1b[K${text}` : `${text}\n`);
  };
  // Before the first ApiToken: long lists, or a Lease that nobody has renewed, which is watched for its duration.
  const first = setTimeout(() => say("reading the cluster, and who leads"), FIRST_MS);
  return {
    update(done, all) {
      clearTimeout(first);
      const nowMs = performance.now();
      startedAtMs ??= nowMs;
      const intervalMs = isTerminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS;
      if (nowMs - startedAtMs < FIRST_MS || nowMs - saidAtMs < intervalMs || done === all) return;
      say(`${done.toLocaleString("en-US")} of ${all.toLocaleString("en-US")} ApiTokens looked at`);
    },
    end() {
      clearTimeout(first);
      if (isTerminal && saidAtMs > 0) stream.write("\r\x1b[K");
    },
  };
}
