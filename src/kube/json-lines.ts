/*
 * The API server sends a watch as one JSON object per line, over a connection that may fall silent without closing.
 * This reader turns silence into an error, and never quotes a line, which may contain a Secret.
 */
import type { Readable } from "node:stream";

/** A stream of JSON lines ended in the middle of a line, contained something else, or fell silent. */
export class BrokenStreamError extends Error {
  override readonly name: string = "BrokenStreamError";
}

/** Nothing came for a long time, and the other side may be gone. It may also just have had nothing to report. */
export class SilentStreamError extends BrokenStreamError {
  override readonly name = "SilentStreamError";
}

/** Yields the object of each line. Throws a BrokenStreamError, or the error that the stream itself fails with. */
export async function* readJsonLines<T>(stream: Readable, stallMs: number): AsyncGenerator<T> {
  let rest = "";
  const stalled = new SilentStreamError(`the stream was silent for ${stallMs} ms`);
  const timer = setTimeout(() => stream.destroy(stalled), stallMs);
  try {
    for await (const chunk of stream.setEncoding("utf8")) {
      timer.refresh();
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line !== "") yield parseLine<T>(line);
    }
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
  if (rest !== "") throw new BrokenStreamError("the stream broke off in the middle of a line");
}

/** The error does not quote the line, which may contain a Secret. */
function parseLine<T>(line: string): T {
  try {
    return JSON.parse(line) as T;
  } catch {
    throw new BrokenStreamError("a line of the stream is not JSON");
  }
}
