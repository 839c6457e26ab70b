/*
 * gRPC over HTTP/2 as gateways need it: unary calls with small messages, and nothing that is about tokens.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import {
  constants,
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import type { Soon } from "../../runtime/chain.ts";
import { listen } from "../../runtime/listen.ts";
import { whenEnded } from "../../runtime/signals.ts";
import { ProtobufError } from "../faces/protobuf.ts";
import { createRenewal, type HttpServer, readTls, type TlsFiles } from "./http-server.ts";

/** A call that has failed. `code` is one of gRPC's; `message` is ASCII, without "%". */
export interface GrpcFailure {
  readonly code: number;
  readonly message: string;
}

/** The bytes of a message as a Latin-1 string, or as `frameMessage` makes them for one that is sent many times. */
export type GrpcReply = string | Buffer | GrpcFailure;

/** Answers a message with another one. Throws a ProtobufError if the message is none. */
export type GrpcMethod = (message: Buffer) => Soon<GrpcReply>;

export interface GrpcServerOptions {
  readonly port: number;
  readonly tls: TlsFiles | undefined;
  /** By path: /package.Service/Method. */
  readonly methods: ReadonlyMap<string, GrpcMethod>;
}

/** gRPC's status codes, as far as they are given here. */
export const GRPC = { invalidArgument: 3, notFound: 5, resourceExhausted: 8, unimplemented: 12, internal: 13 } as const;

/** A gateway's description of a request holds its headers, 60 kB at most by Envoy's default. */
const MESSAGE_LIMIT_BYTES = 262_144;
const PREFIX_BYTES = 5;

const SETTINGS: ServerOptions = {
  settings: { maxConcurrentStreams: 1_000, initialWindowSize: MESSAGE_LIMIT_BYTES, enablePush: false },
};
const CONNECTION_WINDOW_BYTES = 4 * MESSAGE_LIMIT_BYTES;

/** Whoever begins a call must end it within this time, at the latest. */
const SLOWEST_CALL_MS = 10_000;

/** A gateway would keep one connection forever, and a new replica would never be asked. */
const LONGEST_CONNECTION_MS = 600_000;

/** Until a client has heard that it shall open a new connection, it may still begin calls. */
const NOTICE_MS = 1_000;
const LAST_POSSIBLE_STREAM = 2 ** 31 - 1;

const HEADERS = { ":status": 200, "content-type": "application/grpc" };
const SUCCESS = { "grpc-status": "0" };
const TRAILERS_FOLLOW = { waitForTrailers: true };

/** Starts a server; port 0 picks a free port. Throws a Fault if it cannot listen or read its certificate. */
export async function startGrpcServer({ port, tls, methods }: GrpcServerOptions): Promise<HttpServer> {
  const pair = tls && readTls(tls);
  const server = pair === undefined ? createServer(SETTINGS) : createSecureServer({ ...SETTINGS, ...pair });
  const sessions = new Set<ServerHttp2Session>();
  const slow = createSlowStreams();

  server.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    const age = setTimeout(() => retire(session), LONGEST_CONNECTION_MS * (0.5 + Math.random() / 2));
    age.unref();
    session.on("error", ignore); // so is a broken connection
    session.once("close", () => {
      clearTimeout(age);
      sessions.delete(session);
    });
  });
  server.on("sessionError", ignore);
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on("error", ignore); // a broken call is its client's concern
    slow.add(stream);
    stream.once("close", () => slow.remove(stream));
    if (!isGrpc(headers)) return refuseOther(stream);
    const method = methods.get(String(headers[":path"]));
    if (method === undefined) return fail(stream, { code: GRPC.unimplemented, message: "there is no such method" });
    readMessage(stream, (message) => {
      if (Buffer.isBuffer(message)) answer(stream, method, message);
      else fail(stream, message);
    });
  });

  return {
    port: await listen(server, port),
    renewCertificate: createRenewal(server, tls, pair),
    retire() {
      for (const session of sessions) retire(session);
    },
    async close(limitMs) {
      slow.stop();
      for (const session of sessions) announceEnd(session);
      if (sessions.size > 0) await delay(limitMs / 2);
      await whenEnded(new Promise<void>((resolve) => server.close(() => resolve())), limitMs / 2); // its connections, too
      for (const session of sessions) session.destroy();
    },
  };
}

function ignore(): void {}

/** First the notice that calls should go elsewhere, and the end when they do: so no call is lost. */
function retire(session: ServerHttp2Session): void {
  announceEnd(session);
  setTimeout(() => session.close(), NOTICE_MS).unref();
}

/** RFC 9113, 6.8: calls that begin before the client has heard of it are still taken. */
function announceEnd(session: ServerHttp2Session): void {
  if (!session.closed && !session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR, LAST_POSSIBLE_STREAM);
}

/** Ends streams that take too long, with one timer for all of them. */
function createSlowStreams() {
  let young = new Set<ServerHttp2Stream>();
  let old = new Set<ServerHttp2Stream>();
  const timer = setInterval(() => {
    for (const stream of old) stream.close(constants.NGHTTP2_CANCEL);
    old = young;
    young = new Set();
  }, SLOWEST_CALL_MS / 2);
  timer.unref();
  return {
    add: (stream: ServerHttp2Stream) => void young.add(stream),
    remove: (stream: ServerHttp2Stream) => void (young.delete(stream) || old.delete(stream)),
    stop: () => clearInterval(timer),
  };
}

function isGrpc(headers: IncomingHttpHeaders): boolean {
  const type = headers["content-type"] ?? "";
  return headers[":method"] === "POST" && (type === "application/grpc" || /^application\/grpc[+;]/.test(type));
}

function refuseOther(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 415 }, { endStream: true });
  stream.resume();
}

const TOO_LARGE: GrpcFailure = {
  code: GRPC.resourceExhausted,
  message: `the message is larger than ${MESSAGE_LIMIT_BYTES} bytes`,
};
const COMPRESSED: GrpcFailure = { code: GRPC.unimplemented, message: "compressed messages are not supported" };
const INCOMPLETE: GrpcFailure = { code: GRPC.invalidArgument, message: "the message broke off" };
const MALFORMED: GrpcFailure = { code: GRPC.invalidArgument, message: "the message cannot be read" };
const BROKEN: GrpcFailure = { code: GRPC.internal, message: "the call failed" };

/** Calls `done` once, with the call's message or with what is wrong with it. */
function readMessage(stream: ServerHttp2Stream, done: (message: Buffer | GrpcFailure) => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  let length = Number.POSITIVE_INFINITY;
  let isDone = false;
  const finish = (message: Buffer | GrpcFailure) => {
    if (isDone) return;
    isDone = true;
    done(message);
  };
  const readPrefix = () => {
    const prefix = joined(chunks);
    if (prefix[0] !== 0) return finish(COMPRESSED);
    length = prefix.readUInt32BE(1);
    if (length > MESSAGE_LIMIT_BYTES) finish(TOO_LARGE);
  };
  stream.on("data", (chunk: Buffer) => {
    if (isDone) return; // a unary call has one message
    chunks.push(chunk);
    size += chunk.length;
    if (length === Number.POSITIVE_INFINITY && size >= PREFIX_BYTES) readPrefix();
    if (isDone || size < PREFIX_BYTES + length) return;
    finish(joined(chunks).subarray(PREFIX_BYTES, PREFIX_BYTES + length));
  });
  stream.on("end", () => finish(INCOMPLETE));
}

/** Almost every message arrives in one piece. */
function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}

function answer(stream: ServerHttp2Stream, method: GrpcMethod, message: Buffer): void {
  try {
    const reply = method(message);
    if (reply instanceof Promise) reply.then((later) => send(stream, later)).catch(() => fail(stream, BROKEN));
    else send(stream, reply);
  } catch (error) {
    fail(stream, error instanceof ProtobufError ? MALFORMED : BROKEN);
  }
}

function send(stream: ServerHttp2Stream, reply: GrpcReply): void {
  if (typeof reply !== "string" && !Buffer.isBuffer(reply)) {
    fail(stream, reply);
    return;
  }
  if (stream.destroyed || stream.closed) return;
  stream.respond(HEADERS, TRAILERS_FOLLOW);
  stream.once("wantTrailers", sendSuccess);
  if (typeof reply === "string") stream.end(prefixed(reply), "latin1");
  else stream.end(reply);
}

/** A message as it is sent. `message` are its bytes as a Latin-1 string. */
export function frameMessage(message: string): Buffer {
  return Buffer.from(prefixed(message), "latin1");
}

function sendSuccess(this: ServerHttp2Stream): void {
  this.sendTrailers(SUCCESS);
}

/** Not compressed, and the length in four bytes. */
function prefixed(message: string): string {
  const { length } = message;
  return `\0${String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255)}${message}`;
}

function fail(stream: ServerHttp2Stream, { code, message }: GrpcFailure): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  stream.respond({ ...HEADERS, "grpc-status": String(code), "grpc-message": message }, { endStream: true });
}
