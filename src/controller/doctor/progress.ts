/*
 * Shows how far the doctor has got. A large cluster takes it minutes, and without a sign of life a person stops it.
 */
import { createPacer, createProgressLine, type OutputStream } from "../../runtime/terminal.ts";
import { formatCount } from "../../runtime/text.ts";

const FIRST_MS = 2_000;
const TERMINAL_INTERVAL_MS = 200;
const PLAIN_INTERVAL_MS = 5_000;

/** Shows progress once the doctor has run for more than two seconds. */
export interface Progress {
  /** `done` of `all` ApiTokens have been examined. */
  update(done: number, all: number): void;
  /** Clears the line for what is printed next. */
  end(): void;
}

/** Shows progress on `stream`: on one line of a terminal, and now and then on a new line elsewhere. */
export function createProgress(stream: OutputStream): Progress {
  const line = createProgressLine(stream);
  const isTime = createPacer(stream.isTTY === true ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS, FIRST_MS);
  // Before the first ApiToken there are long lists to read, or an expired Lease to watch for its whole duration.
  const first = setTimeout(() => line.show("reading the cluster, and checking for a leader"), FIRST_MS);
  return {
    update(done, all) {
      clearTimeout(first);
      if (done === all || !isTime()) return;
      line.show(`${formatCount(done)} of ${formatCount(all)} ApiTokens examined`);
    },
    end() {
      clearTimeout(first);
      line.clear();
    },
  };
}
