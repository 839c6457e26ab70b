/*
 * What a gateway asks with `envoy.service.auth.v3.CheckRequest`: the few facts of it that decide.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/attribute_context.proto
 */
import { IDENTITY_HEADERS, JWT_HEADER } from "./forward-auth.ts";
import { Fields } from "./protobuf.ts";

/** A request to an application, as its gateway describes it. */
export interface CheckFacts {
  /** The address of the gateway's peer, as the gateway itself has seen it; "" if it does not say. */
  readonly peer: string;
  /** The values of Authorization. Envoy joins several with commas, unless `encode_raw_headers` is set. */
  readonly authorization: readonly string[];
  readonly forwardedFor: readonly string[];
  /** The values of X-Apitoken-Scope. */
  readonly addedScopes: readonly string[];
  /** The names of headers that an application could take for one of ours, and that not every answer replaces. */
  readonly lookalikes: readonly string[];
  /** What the gateway's configuration says about the route: keys and values in turn. */
  readonly context: readonly string[];
}

/** A header of the request that names more scopes, separated by spaces or commas. It can only add to what the route needs. */
export const SCOPE_HEADER = "x-apitoken-scope";

const AUTHORIZATION = "authorization";
const FORWARDED_FOR = "x-forwarded-for";

interface Draft {
  peer: string;
  authorization: string[];
  forwardedFor: string[];
  addedScopes: string[];
  lookalikes: string[];
  context: string[];
}

/** Numbers of the fields, named after their messages. */
const CHECK_REQUEST = { attributes: 1 };
const ATTRIBUTES = { source: 1, request: 4, contextExtensions: 10 };
const PEER = { address: 1 };
const ADDRESS = { socketAddress: 1 };
const SOCKET_ADDRESS = { address: 2 };
const REQUEST = { http: 2 };
const HTTP = { headers: 3, headerMap: 13 };
const HEADER_MAP = { headers: 1 };
/** `rawValue` holds a value that is not UTF-8. */
const PAIR = { key: 1, value: 2, rawValue: 3 };

/** Reads a message. Throws a ProtobufError if it is none. */
export function readCheckRequest(bytes: Buffer): CheckFacts {
  const draft: Draft = {
    peer: "",
    authorization: [],
    forwardedFor: [],
    addedScopes: [],
    lookalikes: [],
    context: [],
  };
  const fields = new Fields(bytes, 0, bytes.length);
  while (fields.find(CHECK_REQUEST.attributes)) readAttributes(bytes, fields.start, fields.end, draft);
  return draft;
}

function readAttributes(bytes: Buffer, start: number, end: number, draft: Draft): void {
  const fields = new Fields(bytes, start, end);
  while (fields.next()) {
    if (fields.number === ATTRIBUTES.source) readPeer(bytes, fields.start, fields.end, draft);
    else if (fields.number === ATTRIBUTES.request) readRequest(bytes, fields.start, fields.end, draft);
    else if (fields.number === ATTRIBUTES.contextExtensions) readContext(bytes, fields.start, fields.end, draft);
  }
}

function readPeer(bytes: Buffer, start: number, end: number, draft: Draft): void {
  const fields = new Fields(bytes, start, end);
  while (fields.find(PEER.address)) readAddress(bytes, fields.start, fields.end, draft);
}

function readAddress(bytes: Buffer, start: number, end: number, draft: Draft): void {
  const kinds = new Fields(bytes, start, end);
  while (kinds.find(ADDRESS.socketAddress)) {
    const parts = new Fields(bytes, kinds.start, kinds.end);
    while (parts.find(SOCKET_ADDRESS.address)) draft.peer = bytes.toString("utf8", parts.start, parts.end);
  }
}

function readRequest(bytes: Buffer, start: number, end: number, draft: Draft): void {
  const fields = new Fields(bytes, start, end);
  while (fields.find(REQUEST.http)) readHttp(bytes, fields.start, fields.end, draft);
}

function readHttp(bytes: Buffer, start: number, end: number, draft: Draft): void {
  const fields = new Fields(bytes, start, end);
  while (fields.next()) {
    if (fields.number === HTTP.headers) readHeader(bytes, fields.start, fields.end, draft);
    else if (fields.number === HTTP.headerMap) readHeaderMap(bytes, fields.start, fields.end, draft);
  }
}

function readHeaderMap(bytes: Buffer, start: number, end: number, draft: Draft): void {
  const fields = new Fields(bytes, start, end);
  while (fields.find(HEADER_MAP.headers)) readHeader(bytes, fields.start, fields.end, draft);
}

/** An entry of a map, or a HeaderValue. Either part may be missing, and then is empty. */
class Pair {
  keyStart = 0;
  keyEnd = 0;
  valueStart = 0;
  valueEnd = 0;

  constructor(bytes: Buffer, start: number, end: number) {
    const fields = new Fields(bytes, start, end);
    while (fields.next()) {
      if (fields.number === PAIR.key) {
        this.keyStart = fields.start;
        this.keyEnd = fields.end;
      } else if (fields.number === PAIR.value || fields.number === PAIR.rawValue) {
        this.valueStart = fields.start;
        this.valueEnd = fields.end;
      }
    }
  }

  readValue(bytes: Buffer): string {
    return bytes.toString("latin1", this.valueStart, this.valueEnd);
  }
}

function readContext(bytes: Buffer, start: number, end: number, draft: Draft): void {
  const pair = new Pair(bytes, start, end);
  const key = bytes.toString("utf8", pair.keyStart, pair.keyEnd);
  draft.context.push(key, bytes.toString("utf8", pair.valueStart, pair.valueEnd));
}

/** The name of a header, with everything that some applications read as "-" written as "-". */
const spell = (name: string) => name.replaceAll(/[^a-z0-9]/g, "-");
const REPLACED: ReadonlySet<string> = new Set(IDENTITY_HEADERS.map((name) => name.toLowerCase()));
const OURS: ReadonlySet<string> = new Set([...REPLACED, JWT_HEADER.toLowerCase()]);
const LONGEST_NAME = Math.max(...[...OURS, SCOPE_HEADER].map((name) => name.length));

function readHeader(bytes: Buffer, start: number, end: number, draft: Draft): void {
  const pair = new Pair(bytes, start, end);
  const { keyStart, keyEnd } = pair;
  if (!mayCount(bytes, keyStart, keyEnd)) return;
  const name = bytes.toString("latin1", keyStart, keyEnd).toLowerCase();
  if (name === AUTHORIZATION) draft.authorization.push(pair.readValue(bytes));
  else if (name === FORWARDED_FOR) draft.forwardedFor.push(pair.readValue(bytes));
  else if (name === SCOPE_HEADER) draft.addedScopes.push(pair.readValue(bytes));
  else if (!REPLACED.has(name) && OURS.has(spell(name))) draft.lookalikes.push(name);
}

/** Makes a letter a small one. */
const SMALL = 0x20;
const A = 0x61;
const F = 0x66;
const X = 0x78;

/** Most headers decide nothing. Those that do are authorization, x-forwarded-for, and short ones like x-auth- or x-apitoken-. */
function mayCount(bytes: Buffer, start: number, end: number): boolean {
  const first = (bytes[start] ?? 0) | SMALL;
  const third = (bytes[start + 2] ?? 0) | SMALL;
  const length = end - start;
  if (first === A) return length === AUTHORIZATION.length;
  if (first !== X) return false;
  return third === F ? length === FORWARDED_FOR.length : third === A && length <= LONGEST_NAME;
}
