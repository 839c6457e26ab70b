/*
 * Sends gRPC calls as a gateway does: a few connections, and many calls at once on each. A program of its own on raw sockets, which
 * writes HTTP/2 frames that were prepared before and counts those that come back: with a whole client, it would be the client that is
 * measured.
 */
import { connect, type Socket } from "node:net";

/** What is to be sent. */
export interface GrpcLoad {
  readonly port: number;
  readonly path: string;
  /** Messages in base64, in turn. */
  readonly messages: readonly string[];
  readonly connections: number;
  /** Calls at once on each connection. */
  readonly calls: number;
  readonly seconds: number;
}

/** What came back. */
export interface GrpcLoadResult {
  readonly perSecond: number;
  /** How the first answer begins, in hex, and how many began in another way. */
  readonly beginning: string;
  readonly others: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The share of a core that the generator used: at 1 it is what limits the result. */
  readonly busy: number;
}

process.on("message", (load: GrpcLoad) => {
  void run(load).then((result) => process.send?.(result));
});
process.once("disconnect", () => process.exit(0));

/** Types and flags of frames: RFC 9113, section 6. */
const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const PING = 6;
const WINDOW_UPDATE = 8;
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const HEAD_BYTES = 9;

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DEFAULT_WINDOW = 65_535;
const LARGEST_WINDOW = 2 ** 31 - 1;

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const uint32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** HPACK without compression (RFC 7541, 6.2.2): every call has the same bytes. Names and values are shorter than 127 bytes. */
function encodeHeaders(headers: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string) => String.fromCharCode(value.length) + value;
  return Buffer.from(headers.map(([name, value]) => `\0${text(name)}${text(value)}`).join(""), "latin1");
}

/** A call as it is sent, but for the number of its stream, which is in two places. */
interface Call {
  readonly bytes: Buffer;
  readonly dataAt: number;
  readonly messageBytes: number;
}

function prepareCalls({ path, messages }: GrpcLoad): readonly Call[] {
  const headers = encodeHeaders([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "verifier"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
  ]);
  return messages.map((text) => {
    const message = Buffer.from(text, "base64");
    const prefixed = Buffer.concat([Buffer.from([0]), uint32(message.length), message]);
    const head = frame(HEADERS, END_HEADERS, 0, headers);
    const bytes = Buffer.concat([head, frame(DATA, END_STREAM, 0, prefixed)]);
    return { bytes, dataAt: head.length, messageBytes: prefixed.length };
  });
}

async function run(load: GrpcLoad): Promise<GrpcLoadResult> {
  const calls = prepareCalls(load);
  const latencies: number[] = [];
  const state = { next: 0, others: 0, isOver: false, first: undefined as Buffer | undefined };
  const lanes = await Promise.all(
    Array.from({ length: load.connections }, () =>
      openLane(load, {
        next() {
          const call = calls[state.next] as Call;
          state.next = (state.next + 1) % calls.length;
          return call;
        },
        take(ms, beginning) {
          latencies.push(ms);
          state.first ??= Buffer.from(beginning);
          if (!beginning.equals(state.first)) state.others += 1;
          return !state.isOver;
        },
      }),
    ),
  );
  const startedAtMs = performance.now();
  const cpuBefore = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, load.seconds * 1_000));
  state.isOver = true;
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  for (const socket of lanes) socket.destroy();
  const sorted = Float64Array.from(latencies).sort();
  const quantile = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
  return {
    perSecond: sorted.length / seconds,
    beginning: state.first?.toString("hex") ?? "",
    others: state.others,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    busy: (user + system) / 1e6 / seconds,
  };
}

/** How many bytes of an answer say whether it is of the same kind as another: status and oneof of a CheckResponse. */
const PREFIX_BYTES = 5;
const BEGINNING_BYTES = 3;

interface Source {
  next(): Call;
  /** Takes an answer; false if no other call is to be begun. */
  take(ms: number, beginning: Buffer): boolean;
}

/** Opens a connection that keeps so many calls in progress. */
function openLane({ port, calls }: GrpcLoad, source: Source): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  const sentAtMs = new Map<number, number>();
  const beginnings = new Map<number, Buffer>();
  let window = DEFAULT_WINDOW;
  let waiting = 0;
  let stream = 1;
  let out: Buffer[] = [];

  const begin = () => {
    const call = source.next();
    if (call.messageBytes > window) {
      waiting += 1;
      return;
    }
    window -= call.messageBytes;
    const bytes = Buffer.from(call.bytes);
    bytes.writeUInt32BE(stream, 5);
    bytes.writeUInt32BE(stream, call.dataAt + 5);
    sentAtMs.set(stream, performance.now());
    stream += 2;
    out.push(bytes);
  };
  const end = (id: number) => {
    const ms = performance.now() - (sentAtMs.get(id) ?? 0);
    sentAtMs.delete(id);
    if (source.take(ms, beginnings.get(id) ?? Buffer.alloc(0))) begin();
    beginnings.delete(id);
  };
  const takeFrame = (type: number, flags: number, id: number, payload: Buffer) => {
    if (type === SETTINGS && (flags & ACK) === 0) out.push(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    else if (type === PING && (flags & ACK) === 0) out.push(frame(PING, ACK, 0, payload));
    else if (type === WINDOW_UPDATE && id === 0) {
      window += payload.readUInt32BE(0);
      for (let count = waiting; count > 0; count -= 1) {
        waiting -= 1;
        begin();
      }
    } else if (type === DATA && !beginnings.has(id)) {
      beginnings.set(id, payload.subarray(PREFIX_BYTES, PREFIX_BYTES + BEGINNING_BYTES));
    }
    if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) end(id);
  };
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let place = 0;
    while (all.length >= place + HEAD_BYTES) {
      const length = all.readUIntBE(place, 3);
      const payloadAt = place + HEAD_BYTES;
      if (all.length < payloadAt + length) break;
      const id = all.readUInt32BE(place + 5) & LARGEST_WINDOW;
      takeFrame(all[place + 3] ?? 0, all[place + 4] ?? 0, id, all.subarray(payloadAt, payloadAt + length));
      place = payloadAt + length;
    }
    rest = all.subarray(place);
    flush();
  });
  const flush = () => {
    if (out.length > 0 && !socket.destroyed) socket.write(Buffer.concat(out));
    out = [];
  };
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => {
      const largest = Buffer.concat([Buffer.from([0, 4]), uint32(LARGEST_WINDOW)]); // SETTINGS_INITIAL_WINDOW_SIZE
      const more = frame(WINDOW_UPDATE, 0, 0, uint32(LARGEST_WINDOW - DEFAULT_WINDOW));
      out.push(Buffer.from(PREFACE), frame(SETTINGS, 0, 0, largest), more);
      for (let count = 0; count < calls; count += 1) begin();
      flush();
      resolve(socket);
    });
  });
}
