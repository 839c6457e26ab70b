/*
 * Tokens for the hour in which nothing else works: their hashes are in a mounted Secret, so that they need neither the database nor
 * the controller. Off unless a file is named. Every use is logged and counted, because nobody revokes such a token but by hand.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { Fault } from "../../runtime/fault.ts";
import { readJson } from "../../runtime/json.ts";
import type { Logger } from "../../runtime/log.ts";
import { watchFile } from "../../runtime/watched-file.ts";
import { isSameHash } from "../../token/keyring.ts";
import { createToken, DEFAULT_PREFIX } from "../../token/token-string.ts";
import { judgePrepared } from "../../token/verdict.ts";
import type { VerifierClock } from "../clock.ts";
import type { EmergencyTokens } from "../lookup.ts";
import { KnownToken } from "../memory/known-token.ts";

const MOST_TOKENS = 100;
const WORD = z.string().min(1).max(253);

const entrySchema = z.strictObject({
  id: z.string().regex(/^[0-9A-Za-z]{12}$/),
  name: WORD,
  owner: WORD,
  scopes: z.array(WORD).max(100),
  /** SHA-256 of the whole token in hex. Its 256 random bits need neither a pepper nor a slow hash. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  expiresAt: z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
});

const fileSchema = z.strictObject({
  tokens: z
    .array(entrySchema)
    .max(MOST_TOKENS)
    .refine((tokens) => new Set(tokens.map(({ id }) => id)).size === tokens.length, "must not hold an id twice"),
});

/** A token of the file, as JSON. */
export type BreakGlassEntry = z.input<typeof entrySchema>;

/** A new token and its entry for the file; `lifetimeMs` from now. The plaintext is nowhere else. */
export function createBreakGlassToken(
  { name, owner, scopes }: Pick<BreakGlassEntry, "name" | "owner" | "scopes">,
  lifetimeMs: number,
  prefix = DEFAULT_PREFIX,
): { readonly plaintext: string; readonly entry: BreakGlassEntry } {
  const { id, plaintext } = createToken(prefix);
  const expiresAt = new Date(Date.now() + lifetimeMs).toISOString();
  return { plaintext, entry: { id, name, owner, scopes, sha256: hash(plaintext).toString("hex"), expiresAt } };
}

/** Reads the file, if there is one, and again every second until the signal. Throws a Fault if it cannot be used at first. */
export async function openBreakGlass(
  path: string | undefined,
  clock: VerifierClock,
  log: Logger,
  signal: AbortSignal,
): Promise<EmergencyTokens | undefined> {
  if (path === undefined) return undefined;
  const file = await watchFile(
    {
      path,
      parse: (text) => parseTokens(text, path),
      missing: (cause) => createFault(path, "it cannot be read", cause),
      onChanged: () => log.warn("the break-glass tokens were read again"),
      onUnreadable: (error) =>
        log.error({ err: error }, "the break-glass tokens cannot be read; the last ones are used"),
    },
    signal,
  );
  return {
    judge(id, plaintext, request) {
      const token = file.content.get(id);
      if (token === undefined) return undefined;
      if (!isSameHash(hash(plaintext), token.hash)) return { kind: "no", why: "WrongSecret" };
      const atMs = clock.nowMs();
      const verdict = judgePrepared(token, atMs, false, request);
      return verdict.kind === "inactive"
        ? { kind: "no", why: verdict.why }
        : { kind: "yes", token, scopes: verdict.scopes, isInGrace: false, atMs, isBreakGlass: true };
    },
  };
}

function parseTokens(text: string, path: string): ReadonlyMap<string, KnownToken> {
  const { data, error } = fileSchema.safeParse(readJson(text));
  if (data !== undefined) return new Map(data.tokens.map((entry) => [entry.id, toKnownToken(entry)]));
  const faults = error.issues.map((issue) => `${issue.path.join(".") || "the text"} (${issue.code})`);
  throw createFault(path, `it does not list break-glass tokens: ${faults.join(", ")}`);
}

/** As a row would have it, so that every face can describe it. */
function toKnownToken({ id, name, owner, scopes, sha256, expiresAt }: z.output<typeof entrySchema>): KnownToken {
  const row = {
    id,
    namespace: "break-glass",
    name,
    owner,
    scopes,
    allowedCidrs: [],
    grace: undefined,
    rateLimit: undefined,
    hash: Buffer.from(sha256, "hex"),
    hashAlgorithm: "hmac-sha256" as const,
    keyId: "break-glass",
    encryptedMetadata: undefined,
    issuedAt: new Date(0),
    expiresAt,
    revokedAt: undefined,
    isEndRequested: false,
  };
  return new KnownToken(row, 0);
}

function createFault(path: string, problem: string, cause?: unknown): Fault {
  return new Fault(
    {
      faultCode: "APITOKEN_E_CONFIG_INVALID",
      object: `the file ${path}`,
      problem,
      remedy: 'make entries with "verifier break-glass", or unset APITOKEN_VERIFIER_BREAK_GLASS_FILE',
    },
    { cause },
  );
}

function hash(plaintext: string): Buffer {
  return createHash("sha256").update(plaintext).digest();
}
