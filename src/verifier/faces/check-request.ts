/*
 * What a gateway asks with `envoy.service.auth.v3.CheckRequest`: the few facts of it that decide.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/attribute_context.proto
 */
import { IDENTITY_HEADERS, JWT_HEADER } from "./forward-auth.ts";
import { visitFields } from "./protobuf.ts";

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
  visitFields(bytes, 0, bytes.length, (field, start, end) => {
    if (field === CHECK_REQUEST.attributes) readAttributes(bytes, start, end, draft);
  });
  return draft;
}

function readAttributes(bytes: Buffer, start: number, end: number, draft: Draft): void {
  visitFields(bytes, start, end, (field, from, to) => {
    if (field === ATTRIBUTES.source) draft.peer = readPeer(bytes, from, to);
    else if (field === ATTRIBUTES.request) readRequest(bytes, from, to, draft);
    else if (field === ATTRIBUTES.contextExtensions) {
      const [key, value] = readPair(bytes, from, to);
      draft.context.push(bytes.toString("utf8", key.start, key.end), bytes.toString("utf8", value.start, value.end));
    }
  });
}

function readPeer(bytes: Buffer, start: number, end: number): string {
  let peer = "";
  visitFields(bytes, start, end, (field, from, to) => {
    if (field !== PEER.address) return;
    visitFields(bytes, from, to, (kind, first, last) => {
      if (kind !== ADDRESS.socketAddress) return;
      visitFields(bytes, first, last, (part, begin, stop) => {
        if (part === SOCKET_ADDRESS.address) peer = bytes.toString("utf8", begin, stop);
      });
    });
  });
  return peer;
}

function readRequest(bytes: Buffer, start: number, end: number, draft: Draft): void {
  visitFields(bytes, start, end, (field, from, to) => {
    if (field !== REQUEST.http) return;
    visitFields(bytes, from, to, (part, first, last) => {
      if (part === HTTP.headers) readHeader(bytes, first, last, draft);
      else if (part === HTTP.headerMap) {
        visitFields(bytes, first, last, (entry, begin, stop) => {
          if (entry === HEADER_MAP.headers) readHeader(bytes, begin, stop, draft);
        });
      }
    });
  });
}

interface Span {
  readonly start: number;
  readonly end: number;
}

const NOWHERE: Span = { start: 0, end: 0 };

/** An entry of a map, or a HeaderValue: the key is field 1; the value is field 2 or, if it is not UTF-8, field 3. */
function readPair(bytes: Buffer, start: number, end: number): readonly [key: Span, value: Span] {
  let key = NOWHERE;
  let value = NOWHERE;
  visitFields(bytes, start, end, (field, from, to) => {
    if (field === 1) key = { start: from, end: to };
    else if (field === 2 || field === 3) value = { start: from, end: to };
  });
  return [key, value];
}

/** The name of a header, with everything that some applications read as "-" written as "-". */
const spell = (name: string) => name.replaceAll(/[^a-z0-9]/g, "-");
const REPLACED: ReadonlySet<string> = new Set(IDENTITY_HEADERS.map((name) => name.toLowerCase()));
const OURS: ReadonlySet<string> = new Set([...REPLACED, JWT_HEADER.toLowerCase()]);
const LONGEST_NAME = Math.max(...[...OURS, SCOPE_HEADER].map((name) => name.length));

function readHeader(bytes: Buffer, start: number, end: number, draft: Draft): void {
  if (isOther(bytes, start, end)) return;
  const [key, value] = readPair(bytes, start, end);
  if (!isOfInterest(bytes, key.start, key.end)) return;
  const name = bytes.toString("latin1", key.start, key.end).toLowerCase();
  const text = () => bytes.toString("latin1", value.start, value.end);
  if (name === AUTHORIZATION) draft.authorization.push(text());
  else if (name === FORWARDED_FOR) draft.forwardedFor.push(text());
  else if (name === SCOPE_HEADER) draft.addedScopes.push(text());
  else if (!REPLACED.has(name) && OURS.has(spell(name))) draft.lookalikes.push(name);
}

/** Tags of length-delimited fields. */
const FIELD_1 = 0x0a;
const FIELD_2 = 0x12;
const FIELD_3 = 0x1a;
/** The bit of a byte that says that the number continues in the next one. */
const CONTINUED = 0x80;

/**
 * Whether an entry is a header that decides nothing. Most are, and to read all of them takes longer than to judge the token: this
 * looks at the few bytes that say so, if the entry is a name and a value, and leaves all others to those who read them.
 */
function isOther(bytes: Buffer, start: number, end: number): boolean {
  const nameLength = bytes[start + 1] ?? CONTINUED;
  const nameEnd = start + 2 + nameLength;
  const tag = bytes[nameEnd];
  const low = bytes[nameEnd + 1] ?? CONTINUED;
  const high = low < CONTINUED ? 0 : (bytes[nameEnd + 2] ?? CONTINUED);
  const valueStart = nameEnd + (low < CONTINUED ? 2 : 3);
  const isUsual =
    bytes[start] === FIELD_1 &&
    nameLength < CONTINUED &&
    (tag === FIELD_2 || tag === FIELD_3) &&
    high < CONTINUED &&
    valueStart + ((low & ~CONTINUED) | (high << 7)) === end;
  return isUsual && !isOfInterest(bytes, start + 2, nameEnd);
}

const A = 0x61;
const F = 0x66;
const X = 0x78;
/** Makes a letter a small one. */
const SMALL = 0x20;

/** The names that count are authorization, x-forwarded-for, and those that begin like x-auth- or x-apitoken-, and are short. */
function isOfInterest(bytes: Buffer, start: number, end: number): boolean {
  const first = (bytes[start] ?? 0) | SMALL;
  const third = (bytes[start + 2] ?? 0) | SMALL;
  const length = end - start;
  if (first === A) return length === AUTHORIZATION.length;
  if (first !== X) return false;
  return third === F ? length === FORWARDED_FOR.length : third === A && length <= LONGEST_NAME;
}
