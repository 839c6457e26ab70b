/*
 * A page of a list has up to 500 objects, each as large as its author likes. If it were parsed as a whole, all of them would
 * be in memory at once, so each object is cut out of the text and handed over as soon as it is complete.
 */
import { BACKSLASH, CLOSING, COMMA, OPENING, QUOTE } from "./json-bytes.ts";
import { createPieces } from "./json-pieces.ts";

/** Where the list of a Kubernetes list begins. */
const ITEMS = /(?<!\\)"items"\s*:\s*\[$/;

/**
 * Reads the JSON text of an object from a stream, and calls `onItem` with the text of each element of its list `items`,
 * which is only valid during the call. Resolves with the text of the rest, in which `items` is empty. What is not JSON results
 * in texts that are not JSON either.
 */
export async function readItems(stream: AsyncIterable<Buffer>, onItem: (text: Buffer) => void): Promise<Buffer> {
  const scanner = createScanner(onItem);
  for await (const chunk of stream) scanner.write(chunk);
  return scanner.end();
}

/** The bytes that mean something, as a table, because every byte of every list is looked up. */
const SPECIAL = new Uint8Array(256);
for (const byte of [QUOTE, BACKSLASH, COMMA, ...Object.values(OPENING), ...Object.values(CLOSING)]) SPECIAL[byte] = 1;

function createScanner(onItem: (text: Buffer) => void) {
  const rest: Buffer[] = [];
  const item = createPieces();
  let depth = 0;
  let isInString = false;
  let isInItems = false;
  /** Whether the next chunk begins with a character that a backslash precedes. */
  let isEscaped = false;

  const finishItem = (last: Buffer) => {
    const text = item.finish(last);
    if (text.some((byte) => byte > 0x20)) onItem(text);
  };

  /** Looks at a special byte outside of strings; returns whether it begins or ends an item. */
  const isBorder = (byte: number): boolean => {
    switch (byte) {
      case QUOTE:
        isInString = true;
        return false;
      case OPENING.brace:
      case OPENING.bracket:
        depth += 1;
        return depth === 2 && byte === OPENING.bracket;
      case CLOSING.brace:
      case CLOSING.bracket:
        depth -= 1;
        return isInItems && depth === 1;
      default:
        return isInItems && depth === 2 && byte === COMMA;
    }
  };

  return {
    write(chunk: Buffer) {
      let from = 0;
      let at = isEscaped ? 1 : 0;
      for (; at < chunk.length; at += 1) {
        const byte = chunk[at] as number;
        if (SPECIAL[byte] === 0) continue;
        if (isInString) {
          if (byte === QUOTE) isInString = false;
          else if (byte === BACKSLASH) at += 1;
          continue;
        }
        if (!isBorder(byte)) continue;
        if (isInItems) {
          finishItem(chunk.subarray(from, at));
          isInItems = byte === COMMA;
          from = isInItems ? at + 1 : at;
        } else {
          rest.push(Buffer.from(chunk.subarray(from, at + 1)));
          isInItems = ITEMS.test(Buffer.concat(rest).toString());
          from = at + 1;
        }
      }
      isEscaped = at > chunk.length;
      if (isInItems) item.add(chunk.subarray(from));
      else rest.push(Buffer.from(chunk.subarray(from)));
    },
    end(): Buffer {
      return Buffer.concat([...rest, item.finish(Buffer.alloc(0))]);
    },
  };
}
