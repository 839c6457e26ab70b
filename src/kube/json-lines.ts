/*
 * The API server sends a watch as one JSON object per line, over a connection that may fall silent without closing.
 * This reader turns silence into an error, and never quotes a line, which may contain a Secret.
 */
import type { Readable } from "node:stream";
import { type Fields, parseJson } from "./json-fields.ts";
import { createPieces } from "./json-pieces.ts";

/** A stream of JSON lines ended in the middle of a line, contained something else, or fell silent. */
export class BrokenStreamError extends Error {
  override readonly name: string = "BrokenStreamError";
}

/** Nothing came for a long time, and the other side may be gone. It may also just have had nothing to report. */
export class SilentStreamError extends BrokenStreamError {
  override readonly name = "SilentStreamError";
}

/**
 * Yields the object of each line; of a large one only `fields`, if there are any. Throws a BrokenStreamError, or the error that
 * the stream itself fails with.
 */
export async function* readJsonLines<T>(stream: Readable, stallMs: number, fields?: Fields): AsyncGenerator<T> {
  const rest = createPieces();
  const stalled = new SilentStreamError(`the stream was silent for ${stallMs} ms`);
  const timer = setTimeout(() => stream.destroy(stalled), stallMs);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      timer.refresh();
      let from = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
        const line = rest.finish(chunk.subarray(from, end));
        from = end + 1;
        if (line.length > 0) yield parseLine<T>(line, fields);
      }
      if (from < chunk.length) rest.add(chunk.subarray(from));
    }
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
  if (!rest.isEmpty) throw new BrokenStreamError("the stream broke off in the middle of a line");
}

const NEWLINE = 0x0a;

/** The error does not quote the line, which may contain a Secret. */
function parseLine<T>(line: Buffer, fields: Fields | undefined): T {
  try {
    return parseJson(line, fields) as T;
  } catch {
    throw new BrokenStreamError("a line of the stream is not JSON");
  }
}
