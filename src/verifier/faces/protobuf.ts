/*
 * As much of the Protocol Buffers wire format as Envoy's check and the health check need: texts and messages, which are all
 * length-delimited. https://protobuf.dev/programming-guides/encoding
 *
 * Messages are written as Latin-1 strings, one character a byte: they nest by concatenation, and Node writes them in one piece.
 */

/** The bytes are not a message. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
}

const DELIMITED = 2;

/** Calls `visit` with the number, and the start and end, of each length-delimited field. Throws a ProtobufError. */
export function visitFields(
  bytes: Buffer,
  start: number,
  end: number,
  visit: (field: number, start: number, end: number) => void,
): void {
  for (let place = start; place < end; ) {
    const tag = readVarint(bytes, place, end);
    place += lengthOfVarint(bytes, place);
    const type = tag & 7;
    if (type === DELIMITED) {
      const length = readVarint(bytes, place, end);
      place += lengthOfVarint(bytes, place);
      if (place + length > end) throw new ProtobufError("a field is longer than its message");
      visit(tag >>> 3, place, place + length);
      place += length;
    } else {
      place += lengthOfOther(bytes, place, end, type);
    }
  }
}

/** Numbers of up to 32 bits: no field that we read, and no length, needs more. */
function readVarint(bytes: Buffer, start: number, end: number): number {
  let value = 0;
  for (let place = start, shift = 0; place < end && shift < 35; place += 1, shift += 7) {
    const byte = bytes[place] as number;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value >>> 0;
  }
  throw new ProtobufError("a number has no end");
}

function lengthOfVarint(bytes: Buffer, start: number): number {
  let place = start;
  while ((bytes[place] ?? 0) >= 0x80) place += 1;
  return place - start + 1;
}

/** The length of a field that is skipped: a number, or 8 or 4 bytes. */
function lengthOfOther(bytes: Buffer, start: number, end: number, type: number): number {
  const length = type === 0 ? lengthOfVarint(bytes, start) : type === 1 ? 8 : type === 5 ? 4 : undefined;
  if (length === undefined || start + length > end) throw new ProtobufError("a field has no end");
  return length;
}

/** A number as it is written. Not negative, and below 2^31. */
export function varint(value: number): string {
  let text = "";
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) text += String.fromCharCode((rest & 0x7f) | 0x80);
  return text + String.fromCharCode(rest);
}

/** A field that holds a message, or a text in ASCII. */
export function delimited(field: number, content: string): string {
  return varint((field << 3) | DELIMITED) + varint(content.length) + content;
}

/** A field that holds a number. */
export function numeric(field: number, value: number): string {
  return varint(field << 3) + varint(value);
}

/** A text in UTF-8. */
export function utf8(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}
