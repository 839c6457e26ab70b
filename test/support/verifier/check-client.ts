/*
 * Asks a verifier over gRPC as a gateway would. It reads answers with a reader of its own, so that it shares no mistake with what it
 * reads.
 */
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { delimited, utf8 } from "../../../src/verifier/faces/protobuf.ts";

/** A field of a message: a number, or bytes. */
export interface Field {
  readonly number: number;
  readonly value: number | Buffer;
}

/** The fields of a message, in their order. */
export function readFields(bytes: Buffer): readonly Field[] {
  const fields: Field[] = [];
  let place = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(place++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
  };
  while (place < bytes.length) {
    const tag = varint();
    if (tag % 8 === 0) fields.push({ number: tag >> 3, value: varint() });
    else if (tag % 8 === 2) {
      const length = varint();
      if (place + length > bytes.length) throw new RangeError("a field is longer than its message");
      fields.push({ number: tag >> 3, value: bytes.subarray(place, place + length) });
      place += length;
    } else throw new RangeError(`the wire type ${tag % 8} is not expected`);
  }
  return fields;
}

const bytesOf = (fields: readonly Field[], number: number) =>
  fields.filter((field) => field.number === number).map(({ value }) => value as Buffer);
const textOf = (fields: readonly Field[], number: number) => (bytesOf(fields, number)[0] ?? "").toString();
const numberOf = (fields: readonly Field[], number: number) =>
  (fields.find((field) => field.number === number)?.value ?? 0) as number;

/** A header that an answer sets, with its HeaderAppendAction. */
export type SetHeader = readonly [name: string, value: string, action: number];

/** A CheckResponse. */
export interface CheckOutcome {
  readonly code: number;
  readonly ok?: {
    readonly headers: readonly SetHeader[];
    readonly removed: readonly string[];
    /** Headers for the client. */
    readonly shown: readonly SetHeader[];
  };
  readonly denied?: { readonly status: number; readonly headers: readonly SetHeader[] };
  /** The same for `error_response`. */
  readonly error?: { readonly status: number; readonly headers: readonly SetHeader[] };
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** The numbers of its fields, in their order. */
  readonly order: readonly number[];
}

const headersOf = (fields: readonly Field[], number = 2): SetHeader[] =>
  bytesOf(fields, number).map((bytes) => {
    const option = readFields(bytes);
    const header = readFields(bytesOf(option, 1)[0] as Buffer);
    return [textOf(header, 1), textOf(header, 2), numberOf(option, 3)];
  });

function refusalOf(bytes: Buffer) {
  const fields = readFields(bytes);
  return { status: numberOf(readFields(bytesOf(fields, 1)[0] as Buffer), 1), headers: headersOf(fields) };
}

function structOf(bytes: Buffer): Record<string, unknown> {
  return Object.fromEntries(
    bytesOf(readFields(bytes), 1).map((entry) => {
      const pair = readFields(entry);
      return [textOf(pair, 1), plainValue(bytesOf(pair, 2)[0] as Buffer)];
    }),
  );
}

function plainValue(bytes: Buffer): unknown {
  const fields = readFields(bytes);
  const [list] = bytesOf(fields, 6);
  return list === undefined ? textOf(fields, 3) : bytesOf(readFields(list), 1).map(plainValue);
}

/** Reads the bytes of a CheckResponse. */
export function readCheckResponse(bytes: Buffer): CheckOutcome {
  const fields = readFields(bytes);
  const [status, denied, ok, metadata, error] = [1, 2, 3, 4, 5].map((number) => bytesOf(fields, number)[0]);
  const parts = ok && readFields(ok);
  return {
    code: status === undefined ? 0 : numberOf(readFields(status), 1),
    ...(parts && {
      ok: { headers: headersOf(parts), removed: bytesOf(parts, 5).map(String), shown: headersOf(parts, 6) },
    }),
    ...(denied && { denied: refusalOf(denied) }),
    ...(error && { error: refusalOf(error) }),
    ...(metadata && { metadata: structOf(metadata) }),
    order: fields.map(({ number }) => number),
  };
}

/** What a gateway asks. Headers are names and values in turn. */
export interface CheckQuestion {
  readonly headers?: readonly string[];
  /** As with `encode_raw_headers`. */
  readonly isRaw?: boolean;
  readonly context?: Readonly<Record<string, string>>;
  /** The address of the gateway's peer. */
  readonly peer?: string;
}

/** The bytes of a CheckRequest, with what Envoy adds to every one. */
export function writeCheckRequest({ headers = [], isRaw = false, context = {}, peer }: CheckQuestion): Buffer {
  const pairs = ["x-request-id", "11111111-1111-4111-8111-111111111111", ":path", "/orders", ...headers];
  const entries = pairs.flatMap((name, place) => (place % 2 === 0 ? [[name, pairs[place + 1] ?? ""] as const] : []));
  const listed = entries.map(([name, value]) => delimited(1, utf8(name)) + delimited(isRaw ? 3 : 2, utf8(value)));
  const encoded = isRaw
    ? delimited(13, listed.map((entry) => delimited(1, entry)).join(""))
    : listed.map((entry) => delimited(3, entry)).join("");
  const extensions = Object.entries(context).map(([key, value]) =>
    delimited(10, delimited(1, utf8(key)) + delimited(2, utf8(value))),
  );
  const address = peer === undefined ? "" : delimited(1, delimited(1, delimited(1, delimited(2, peer))));
  const time = delimited(1, "\x08\x80\xa0\xc4\xb0\x06");
  const request = delimited(4, time + delimited(2, delimited(2, "GET") + encoded + delimited(4, "/orders")));
  return Buffer.from(delimited(1, address + request + extensions.join("")), "latin1");
}

/** What a call has ended with. */
export interface CallResult {
  readonly httpStatus: number;
  readonly grpcStatus: number;
  readonly message: Buffer | undefined;
}

export interface CheckClient {
  readonly session: ClientHttp2Session;
  /** Rejects if the call does not succeed. */
  check(question: CheckQuestion): Promise<CheckOutcome>;
  call(path: string, message: Buffer, headers?: Readonly<Record<string, string>>): Promise<CallResult>;
  close(): void;
}

export const CHECK_PATH = "/envoy.service.auth.v3.Authorization/Check";

/** The bytes of a message as they are sent: not compressed, with their length. */
export function prefixed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Opens a connection. `ca` is a certificate to trust. */
export function openCheckClient(url: string, ca?: string): CheckClient {
  const session = connect(url, ca === undefined ? {} : { ca });
  session.on("error", () => {});
  const call: CheckClient["call"] = async (path, message, headers = {}) => {
    const request = {
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    };
    const stream = session.request(request);
    const received: IncomingHttpHeaders = {};
    stream.on("response", (head) => Object.assign(received, head));
    stream.on("trailers", (trailers) => Object.assign(received, trailers));
    stream.end(message);
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part);
    const body = Buffer.concat(parts);
    return {
      httpStatus: Number(received[":status"]),
      grpcStatus: Number(received["grpc-status"]),
      message: body.length < 5 ? undefined : body.subarray(5, 5 + body.readUInt32BE(1)),
    };
  };
  return {
    session,
    call,
    async check(question) {
      const { grpcStatus, message } = await call(CHECK_PATH, prefixed(writeCheckRequest(question)));
      if (grpcStatus !== 0 || message === undefined) throw new Error(`the call ended with the status ${grpcStatus}`);
      return readCheckResponse(message);
    },
    close: () => session.close(),
  };
}

/** A client that asks as gateways do: it opens another connection when it is asked to, and lets its calls end on the old one. */
export interface MovingClient {
  /** How many connections there have been. */
  readonly connections: number;
  /** Rejects if the call does not succeed. What its own end of a connection had not sent when that was to end, it sends again. */
  check(question: CheckQuestion): Promise<CheckOutcome>;
  close(): void;
}

/** Opens a connection. */
export function openMovingClient(url: string): MovingClient {
  let connections = 0;
  const open = (): CheckClient => {
    connections += 1;
    const opened = openCheckClient(url);
    const move = () => {
      if (client === opened && !isClosed) client = open();
    };
    opened.session.once("goaway", move);
    opened.session.once("close", move); // without notice, because it was refused or broken off
    return opened;
  };
  let isClosed = false;
  let client = open();
  return {
    get connections() {
      return connections;
    },
    async check(question) {
      try {
        return await client.check(question);
      } catch (error) {
        if (!(error as Error).message.includes("REFUSED_STREAM")) throw error;
        return client.check(question);
      }
    },
    close() {
      isClosed = true;
      client.close();
    },
  };
}
