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
import { GRPC, type GrpcFailure, MESSAGE_LIMIT_BYTES, MessageReader, prefixMessage } from "./grpc-message.ts";
import { createRenewal, type HttpServer, readTls, type TlsFiles } from "./http-server.ts";

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
  function forget(this: ServerHttp2Stream): void {
    slow.remove(this);
  }

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
    stream.on("close", forget);
    if (!isGrpc(headers)) return refuseOther(stream);
    const method = methods.get(String(headers[":path"]));
    if (method === undefined) return fail(stream, { code: GRPC.unimplemented, message: "there is no such method" });
    begin(stream as CallStream, method);
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

/**
 * A call. It hangs at its stream, and the listeners are the same functions for all streams: closures of their own would be a good part
 * of what a call costs.
 */
interface Call {
  readonly method: GrpcMethod;
  readonly reader: MessageReader;
  /** Whether its message has been read, or was found to be none: a unary call has one. */
  isRead: boolean;
}

const INCOMPLETE: GrpcFailure = { code: GRPC.invalidArgument, message: "the message broke off" };
const MALFORMED: GrpcFailure = { code: GRPC.invalidArgument, message: "the message cannot be read" };
const BROKEN: GrpcFailure = { code: GRPC.internal, message: "the call failed" };

const CALL = Symbol("call");
type CallStream = ServerHttp2Stream & { [CALL]: Call };

function begin(stream: CallStream, method: GrpcMethod): void {
  stream[CALL] = { method, reader: new MessageReader(), isRead: false };
  stream.on("data", takeChunk);
  stream.on("end", takeEnd);
}

function takeChunk(this: CallStream, chunk: Buffer): void {
  const call = this[CALL];
  if (call.isRead) return;
  const message = call.reader.take(chunk);
  if (message === undefined) return;
  call.isRead = true;
  if (Buffer.isBuffer(message)) answer(this, call.method, message);
  else fail(this, message);
}

function takeEnd(this: CallStream): void {
  const call = this[CALL];
  if (!call.isRead) fail(this, INCOMPLETE);
  call.isRead = true;
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
  stream.on("wantTrailers", sendSuccess);
  if (typeof reply === "string") stream.end(prefixMessage(reply), "latin1");
  else stream.end(reply);
}

function sendSuccess(this: ServerHttp2Stream): void {
  this.sendTrailers(SUCCESS);
}

function fail(stream: ServerHttp2Stream, { code, message }: GrpcFailure): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  stream.respond({ ...HEADERS, "grpc-status": String(code), "grpc-message": message }, { endStream: true });
}
