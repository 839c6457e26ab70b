/*
 * Anyone who may create an object decides how large it is: a Secret may have 100,000 keys, and every object labels,
 * annotations and a record of who manages what. JSON.parse would build all of that, at many times the size of the text, just to
 * have it thrown away. So of a large object only the fields that we read are parsed.
 */
import { BACKSLASH, CLOSING, COLON, COMMA, OPENING, QUOTE } from "./json-bytes.ts";

/**
 * Which fields of an object are read: "whole" whatever its size, "bounded" unless it is larger than ours ever are, "few" unless
 * it has more members than ours ever have, or only some fields of the field.
 */
export interface Fields {
  readonly [name: string]: "whole" | "bounded" | "few" | Fields;
}

/** What a field reads as if it is too large, or has too many members. */
export const TOO_LARGE: unique symbol = Symbol("too large");

/** Bytes. Anything smaller is cheap to parse, so no object below it has a bounded field that is too large. */
export const LARGE = 65_536;

/** Members. An object of 100,000 short ones takes ten times the memory of its text. */
export const FEW = 1_000;

/** Parses JSON. Of a text that is large, only `fields` are read, if there are any. Throws a SyntaxError, which may quote the text. */
export function parseJson(text: Buffer, fields?: Fields): unknown {
  return fields === undefined || text.length <= LARGE ? JSON.parse(text.toString()) : readFields(text, fields);
}

/**
 * Reads these fields of a JSON text like `JSON.parse`, and skips everything else without looking whether it is correct. Throws a
 * SyntaxError if the text is not an object, or ends too early.
 */
export function readFields(text: Buffer, fields: Fields): unknown {
  let at = 0;

  const skipSpace = () => {
    while (isSpace(text[at])) at += 1;
  };
  const expect = (byte: number) => {
    skipSpace();
    if (text[at] !== byte) throw new SyntaxError(`unexpected byte at ${at}`);
    at += 1;
  };
  const skipString = () => {
    expect(QUOTE);
    while (text[at] !== QUOTE) {
      at += text[at] === BACKSLASH ? 2 : 1;
      if (at >= text.length) throw new SyntaxError("unfinished string");
    }
    at += 1;
  };
  /** Returns the number of its members. */
  const skipNested = (): number => {
    let depth = 0;
    let members = 1;
    do {
      const byte = text[at];
      if (byte === QUOTE) {
        skipString();
        continue;
      }
      if (byte === undefined) throw new SyntaxError("unfinished value");
      if (byte === OPENING.brace || byte === OPENING.bracket) depth += 1;
      if (byte === CLOSING.brace || byte === CLOSING.bracket) depth -= 1;
      if (byte === COMMA && depth === 1) members += 1;
      at += 1;
    } while (depth > 0);
    return members;
  };
  /** Returns the number of its members, if it is an object or a list. */
  const skipValue = (): number => {
    const byte = text[at];
    if (byte === OPENING.brace || byte === OPENING.bracket) return skipNested();
    if (byte === QUOTE) skipString();
    else while (at < text.length && !isEnd(text[at])) at += 1;
    return 0;
  };
  const parseFrom = (start: number) => JSON.parse(text.toString("utf8", start, at));

  const readValue = (field: Fields[string]): unknown => {
    if (typeof field === "object" && text[at] === OPENING.brace) return readObject(field);
    const start = at;
    const members = skipValue();
    const isTooLarge = (field === "bounded" && at - start > LARGE) || (field === "few" && members > FEW);
    return isTooLarge ? TOO_LARGE : parseFrom(start);
  };
  const readObject = (wanted: Fields): Record<string, unknown> => {
    const object: Record<string, unknown> = {};
    expect(OPENING.brace);
    skipSpace();
    if (text[at] === CLOSING.brace) {
      at += 1;
      return object;
    }
    do {
      skipSpace();
      const start = at;
      skipString();
      const name = parseFrom(start);
      expect(COLON);
      skipSpace();
      const field = Object.hasOwn(wanted, name) ? wanted[name] : undefined;
      if (field === undefined) skipValue();
      else object[name] = readValue(field);
      skipSpace();
      at += 1;
    } while (text[at - 1] === COMMA);
    at -= 1;
    expect(CLOSING.brace);
    return object;
  };

  skipSpace();
  const object = readObject(fields);
  skipSpace();
  if (at < text.length) throw new SyntaxError("the text continues after its object");
  return object;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isEnd(byte: number | undefined): boolean {
  return byte === COMMA || byte === CLOSING.brace || byte === CLOSING.bracket || isSpace(byte);
}
