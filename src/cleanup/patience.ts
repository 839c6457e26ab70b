/*
 * Tells a person at a terminal what a command is waiting for, once it takes longer than people wait without a word.
 */
import { createProgressLine, type OutputStream } from "../runtime/terminal.ts";
import { stripControls } from "../runtime/text.ts";

const SILENT_MS = 2_000;
const INTERVAL_MS = 250;

/** What a command is doing. */
export interface Patience {
  /** From now on it does this, a clause such as "counting app.sessions". */
  begin(text: string): void;
  /** Leaves the line to the next output. */
  end(): void;
}

/** Shows nothing if the stream is not a terminal. */
export function createPatience(stream: OutputStream): Patience {
  if (stream.isTTY !== true) return { begin() {}, end() {} };
  const line = createProgressLine(stream);
  const startedAtMs = performance.now();
  let doing = "";
  const timer = setInterval(() => {
    const elapsedMs = performance.now() - startedAtMs;
    if (elapsedMs >= SILENT_MS) line.show(`${doing} · ${Math.floor(elapsedMs / 1_000)}s`);
  }, INTERVAL_MS).unref();
  return {
    begin(text) {
      doing = stripControls(text);
    },
    end() {
      clearInterval(timer);
      line.clear();
    },
  };
}
