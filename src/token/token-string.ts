/*
 * The token string, `<prefix>_<id 12><secret 43><crc 6>`, base62 after the underscore. An installation chooses its prefix, so that an
 * organisation's scanners know its own tokens. The id is public and names the token in rows, logs and status. The secret is 256 bits
 * from the CSPRNG. The CRC-32 of everything before it, the prefix too, rejects typos without a query, and lets secret scanners match
 * with almost no false positives.
 *
 * Whoever reads a token takes any prefix: its hash, which its row has, is of the whole string. So an installation that changes its
 * prefix keeps its tokens until they rotate, and a verifier needs no setting. What follows the prefix has one length, so the id is
 * found from the end.
 */
import { createHash, randomBytes, randomInt } from "node:crypto";
import { crc32 } from "node:zlib";

/** The prefix of an installation that chooses none. */
export const DEFAULT_PREFIX = "apt";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_LENGTH = 12;
const SECRET_BYTES = 32;
const SECRET_LENGTH = 43; // 62⁴³ > 2²⁵⁶
const CRC_LENGTH = 6; // 62⁶ > 2³²
const TAIL_LENGTH = ID_LENGTH + SECRET_LENGTH + CRC_LENGTH;
const LONGEST_PREFIX = 16;
const PREFIX = `[a-z][a-z0-9]{1,${LONGEST_PREFIX - 1}}`;
const PREFIX_ALONE = new RegExp(`^${PREFIX}$`);
const PATTERN = new RegExp(`^${PREFIX}_[0-9A-Za-z]{${TAIL_LENGTH}}$`);

/** With any prefix, other words have this form too; a few characters of the secret are worth nothing. */
const IN_TEXT = new RegExp(`(${PREFIX}_[0-9A-Za-z]{${ID_LENGTH}})[0-9A-Za-z]{8,}`, "g");

/** What `isTokenPrefix` demands, as it continues a fault. */
export const TOKEN_PREFIX_RULE = `must be 2 to ${LONGEST_PREFIX} lower-case letters and digits, and begin with a letter`;

/** Where the id of a token string is, for `slice`: it says nothing about other strings. */
export const ID_START = -TAIL_LENGTH;
export const ID_END = ID_LENGTH - TAIL_LENGTH;

/** No token string is longer than this. */
export const LONGEST_TOKEN = LONGEST_PREFIX + "_".length + TAIL_LENGTH;

/** How a token is written, for whoever looks for tokens in texts. */
export const TOKEN_FORMAT = {
  /** How many characters follow the prefix and its underscore, and how many of them are the checksum. */
  length: TAIL_LENGTH,
  checksumLength: CRC_LENGTH,
  alphabet: ALPHABET,
} as const;

/** The id of the rule with which gitleaks, and with it GitLab, finds tokens. */
export const LEAK_RULE_ID = "apitoken_operator_token";

/** A token string that was never issued, for documents and tests of scanners. */
export function exampleToken(text: string, prefix: string): string {
  const body = `${prefix}_Example00000${encodeBase62(BigInt(`0x${createHash("sha256").update(text).digest("hex")}`), SECRET_LENGTH)}`;
  return body + checksum(body);
}

/** A new token: `id` is public, `plaintext` is the whole secret string. */
export interface NewToken {
  readonly id: string;
  readonly plaintext: string;
}

/** Whether an installation may have this prefix. */
export function isTokenPrefix(text: string): boolean {
  return PREFIX_ALONE.test(text);
}

/** Creates a token from the operating system's CSPRNG. */
export function createToken(prefix = DEFAULT_PREFIX): NewToken {
  const id = Array.from({ length: ID_LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join("");
  const secret = encodeBase62(BigInt(`0x${randomBytes(SECRET_BYTES).toString("hex")}`), SECRET_LENGTH);
  const body = `${prefix}_${id}${secret}`;
  return { id, plaintext: body + checksum(body) };
}

/** Whether the header of a request can hold this text as a token, anybody's: b64token (RFC 6750, 2.1). */
export function isBearerToken(text: string): boolean {
  return /^[A-Za-z0-9._~+/-]+=*$/.test(text);
}

/**
 * The id of a well-formed token string of any installation; undefined if the form of the prefix, the length, the alphabet or the checksum is wrong. A
 * well-formed token is not necessarily valid: only its row decides that.
 */
export function parseTokenId(plaintext: string): string | undefined {
  return PATTERN.test(plaintext) && hasChecksum(plaintext) ? plaintext.slice(ID_START, ID_END) : undefined;
}

/** Compares the digits where they are: a verifier checks whatever anybody sends it. */
function hasChecksum(text: string): boolean {
  let rest = crc32(text.slice(0, -CRC_LENGTH));
  for (let place = 1; place <= CRC_LENGTH; place += 1) {
    if (text.charCodeAt(text.length - place) !== ALPHABET.charCodeAt(rest % ALPHABET.length)) return false;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return true;
}

/** The text with the secret part of everything in it that looks like a token removed. */
export function hideTokens(text: string): string {
  return text.replaceAll(IN_TEXT, "$1…");
}

function checksum(body: string): string {
  return encodeBase62(BigInt(crc32(body)), CRC_LENGTH);
}

function encodeBase62(value: bigint, length: number): string {
  const base = BigInt(ALPHABET.length);
  let digits = "";
  for (let rest = value; rest > 0n; rest /= base) digits = ALPHABET.charAt(Number(rest % base)) + digits;
  return digits.padStart(length, ALPHABET.charAt(0));
}
