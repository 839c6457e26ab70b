import type { Readable } from "node:stream";

/** A stream of JSON lines broke off in the middle of a line, carried something else, or went silent. */
export class BrokenStreamError extends Error {
  override readonly name: string = "BrokenStreamError";
}

/** Nothing came for so long that the other side may be gone; or nothing has happened there. */
export class SilentStreamError extends BrokenStreamError {
  override readonly name = "SilentStreamError";
}

/** The objects of a stream of JSON lines. Throws a BrokenStreamError, or what the stream itself fails with. */
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

/** The line is not quoted in the error: it may be of a Secret. */
function parseLine<T>(line: string): T {
  try {
    return JSON.parse(line) as T;
  } catch {
    throw new BrokenStreamError("a line of the stream is not JSON");
  }
}
