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

/**
 * Goes over the length-delimited fields of a message, from `place` to `limit`. A cursor, and no callback: a message of a gateway has
 * dozens of fields, and a closure for each of them is what its reading would cost most.
 */
export class Fields {
  /** The number of the field, and where its content starts and ends; valid after `next` has returned true. */
  number = 0;
  start = 0;
  end = 0;
  private readonly bytes: Buffer;
  private place: number;
  private readonly limit: number;

  constructor(bytes: Buffer, place: number, limit: number) {
    this.bytes = bytes;
    this.place = place;
    this.limit = limit;
  }

  /** Moves on to the next field; false if there is none. Throws a ProtobufError. */
  next(): boolean {
    while (this.place < this.limit) {
      const tag = this.readVarint();
      const type = tag & 7;
      if (type === DELIMITED) {
        const length = this.readVarint();
        this.number = tag >>> 3;
        this.start = this.place;
        this.end = this.start + length;
        if (this.end > this.limit) throw new ProtobufError("a field is longer than its message");
        this.place = this.end;
        return true;
      }
      this.skip(type);
    }
    return false;
  }

  /** Moves on to the next field with this number; false if there is none. Throws a ProtobufError. */
  find(number: number): boolean {
    while (this.next()) if (this.number === number) return true;
    return false;
  }

  /** Numbers of up to 32 bits: no field that we read, and no length, needs more. */
  private readVarint(): number {
    let value = 0;
    for (let shift = 0; this.place < this.limit && shift < 35; shift += 7) {
      const byte = this.bytes[this.place] as number;
      this.place += 1;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new ProtobufError("a number has no end");
  }

  /** Skips a number, or 8 or 4 bytes. */
  private skip(type: number): void {
    if (type === 0) while ((this.bytes[this.place] ?? 0) >= 0x80) this.place += 1;
    const length = type === 0 ? 1 : type === 1 ? 8 : type === 5 ? 4 : undefined;
    if (length === undefined || this.place + length > this.limit) throw new ProtobufError("a field has no end");
    this.place += length;
  }
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
