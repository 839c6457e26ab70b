/*
 * Finds mistakes in DATABASE_URL before anything connects: the errors of URL parsers and of libpq name neither the mistake nor
 * the remedy, and may contain the password.
 */
import { accessSync, constants } from "node:fs";

const REMEDY =
  "write postgres://user:password@host:5432/database, with the special characters of user and password " +
  'percent-encoded ("@" is %40, "/" is %2F, "#" is %23, "%" is %25)';

/** What pg does with each sslmode: https://github.com/brianc/node-postgres/tree/master/packages/pg-connection-string */
const SSL_MODES = ["verify-full", "verify-ca", "require", "no-verify", "disable"];

const SSL_REMEDY =
  "write sslmode=verify-full, which encrypts and verifies the server, no-verify, which only encrypts, or disable";

const FILE_PARAMETERS = ["sslrootcert", "sslcert", "sslkey"];

/**
 * What is wrong with a connection string in libpq's URI form, and the remedy; undefined if nothing is. The text contains
 * neither user nor password. The host may be the folder of a Unix socket.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export function findDatabaseUrlFault(text: string): string | undefined {
  if (!/^postgres(ql)?:\/\//.test(text)) return 'must begin with "postgres://"';
  // libpq, unlike the URL standard, allows a user without a host; the host is then a parameter.
  const url = URL.parse(text) ?? URL.parse(text.replace(/^([a-z]+:\/\/)[^@/]*@\//, "$1/"));
  if (url === null) return `is not a valid URL, or its port is not between 1 and 65535; ${REMEDY}`;
  if (url.hash !== "") return `has a "#": everything after it would be ignored; ${REMEDY}`;

  if (!isDecodable(url)) return `contains a stray "%"; ${REMEDY}`;

  const parameters = url.searchParams;
  const host = parameters.get("host") || url.hostname;
  if (host === "") return `names no host; ${REMEDY}`;
  if (!isHost(host)) return `has an invalid host; ${REMEDY}`;
  const port = parameters.get("port") || url.port;
  if (port !== "" && !isPort(port)) return `has a port that is not between 1 and 65535; ${REMEDY}`;

  const sslFault = findSslFault(parameters);
  if (sslFault !== undefined) return sslFault;

  for (const name of FILE_PARAMETERS) {
    const path = parameters.get(name);
    if (path && !isReadable(path)) return `names in its parameter ${name} a file that cannot be read: ${path}`;
  }
  return undefined;
}

/**
 * libpq's allow and prefer (and the default of libpq) fall back to a connection without encryption, to whoever answers; pg
 * knows no such thing, and takes them, like any misspelt mode, for something else. The environment is read as pg reads it.
 */
function findSslFault(parameters: URLSearchParams): string | undefined {
  const odd = ["ssl", "uselibpqcompat"].find((name) => parameters.has(name));
  if (odd !== undefined) return `has the parameter ${odd}, which is not supported; ${SSL_REMEDY}`;
  const modes = parameters.getAll("sslmode");
  if (modes.length > 1) return `names sslmode more than once; ${SSL_REMEDY}`;
  const mode = modes[0] ?? (process.env.PGSSLMODE || undefined);
  if (mode === undefined || SSL_MODES.includes(mode)) return undefined;
  const where = modes.length === 0 ? "does not set sslmode, and PGSSLMODE is" : "has sslmode";
  const shown = /^[\w-]{1,20}$/.test(mode) ? ` "${mode}"` : " a value";
  return `${where}${shown}, which is not supported; ${SSL_REMEDY}`;
}

/**
 * The URL as pg is to have it. pg 8 verifies the server for require and verify-ca exactly as for verify-full, but announces
 * with a warning that a later version will not: the names are replaced, so that no update of pg weakens them.
 */
export function pinSslMode(url: string): string {
  return url.replace(/([?&]sslmode=)(require|verify-ca)(?=&|$)/, "$1verify-full");
}

function isDecodable({ username, password, hostname, pathname }: URL): boolean {
  try {
    for (const part of [username, password, hostname, pathname]) decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

/** A name, an address (IPv6 in brackets), or the folder of a Unix socket, whose slashes may be encoded. */
function isHost(host: string): boolean {
  return /^([\w.-]+|\[?[0-9a-f:.]+\]?|(\/|%2f).*)$/i.test(host);
}

function isPort(port: string): boolean {
  return /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535;
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
