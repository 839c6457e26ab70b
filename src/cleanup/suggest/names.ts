/*
 * What names of tables and columns say about tokens and sessions. Names are a hint and no proof, so each is reported as a reason.
 */

/** expiresAt, ExpiresAt and expires_at are one name. */
export function toSnake(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replaceAll(/[^A-Za-z0-9]+/g, "_")
    .toLowerCase();
}

const EXPIRY =
  /^(.*_)?(expir(es?|ing|ed|y|ation)(_?(at|on|date|time|datetime|ts|timestamp|utc|ms))*|exp(_(at|on|date|time|datetime|ts|timestamp|utc|ms))?|ttl)$/;
const VALIDITY = /^(.*_)?(valid_(until|to|till)|not_after)$/;
const IDLE = /^last_(activity|active|used|seen|access|accessed|refresh|session_refresh)(_(at|on|time|date))?$/;
const CREATED =
  /^((created?|creation|issued|inserted)(_?(at|on|date|time|datetime|ts|timestamp|utc|ms))*|iat|date_created)$/;
const SECONDS = /^(expires_in|ttl|max_age|lifetime|valid_for|max_inactive_interval)(_(s|secs?|seconds))?$/;
const REVOCATION =
  /^(revoked|invalidated|consumed|redeemed|logged_out|terminated)(_(at|on|date|time))?$|^revocation_(date|time)$/;
const FLAG = /^(is_)?(revoked|invalidated|consumed|used|blacklisted|disabled)$/;

/** Whether the name is that of a duration. */
export const isSeconds = (name: string): boolean => SECONDS.test(toSnake(name));

export type ColumnRole = "expiry" | "idle" | "created" | "seconds" | "revocation" | "flag";

const TIMES = new Set([
  "timestamp with time zone",
  "timestamp without time zone",
  "date",
  "integer",
  "bigint",
  "numeric",
  "double precision",
]);
const NUMBERS = new Set(["smallint", "integer", "bigint", "numeric", "real", "double precision"]);

/** What a column is by its name and type; undefined if it says nothing. */
export function findRole({ name, type }: { readonly name: string; readonly type: string }): ColumnRole | undefined {
  const snake = toSnake(name);
  if (type === "boolean") return FLAG.test(snake) ? "flag" : undefined;
  if (SECONDS.test(snake) && NUMBERS.has(type)) return "seconds";
  if (!TIMES.has(type)) return undefined;
  if (EXPIRY.test(snake) || VALIDITY.test(snake)) return "expiry";
  if (REVOCATION.test(snake)) return "revocation";
  if (IDLE.test(snake)) return "idle";
  return CREATED.test(snake) ? "created" : undefined;
}

/** Whether nothing is before the expiry's own words: in refresh_token_expires_at, something is. */
export function isPlainExpiry(name: string): boolean {
  return (EXPIRY.exec(toSnake(name)) ?? VALIDITY.exec(toSnake(name)))?.[1] === undefined;
}

const ANYWHERE = /token|session|nonce|captcha|one_?time|pass_?(?:code|link)/;
const WORDS =
  /(?:^|_)(sess|otps?|codes?|jtis?|tickets?|challenges?|verifications?|resets?|invites?|invitations?|logins?|grants?|magic_?links?|remember_?me|csrf|assertions?)(?:_|$)/;
const ABOUT =
  /(?:^|_)(types?|settings?|config|configurations?|polic(?:y|ies)|templates?|logs?|history|audits?|stats?|archives?|scopes?|permissions?|events?)$/;

/** The part of a table's name that looks like tokens or sessions; undefined if none does. */
export function findTokenWord(table: string): string | undefined {
  const snake = toSnake(table);
  if (ABOUT.test(snake)) return undefined;
  return ANYWHERE.exec(snake)?.[0] ?? WORDS.exec(snake)?.[1];
}
