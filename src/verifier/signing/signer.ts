/*
 * Signs for the faces, with the keys of a file that is read again: a Secret can be replaced while the verifier runs.
 */
import { Fault } from "../../runtime/fault.ts";
import type { Logger } from "../../runtime/log.ts";
import { watchFile } from "../../runtime/watched-file.ts";
import type { KnownToken } from "../memory/known-token.ts";
import { readSigningKeys, type SigningKey } from "./signing-key.ts";

/** Signs what a verifier says. */
export interface Signer {
  /** The URL by which clients know this verifier. */
  readonly issuer: string;
  readonly algorithm: SigningKey["algorithm"];
  /** The public keys, as a JWK Set holds them. */
  readonly publicKeys: readonly SigningKey["publicKey"][];
  sign(type: string, claims: object): string;
  /**
   * The JWT of a token for an audience; `make` is called if there is none, or if the last one ends too soon. Signing takes longer
   * than an answer may, so each is used for half of its life.
   */
  signOnce(token: KnownToken, purpose: string, nowMs: number, make: () => PassingClaims): string;
}

/** Claims of a JWT that ends soon. */
export interface PassingClaims {
  readonly type: string;
  readonly claims: { readonly iat: number; readonly exp: number } & object;
}

/** More JWTs are not kept; clients that could choose an audience must not choose how much memory is taken. */
const MOST_KEPT = 20_000;

interface Kept {
  readonly token: KnownToken;
  readonly jwt: string;
  readonly untilMs: number;
}

export interface SignerOptions {
  readonly file: string;
  readonly issuer: string;
  readonly log: Logger;
  /** Ends the reading of the file. */
  readonly signal: AbortSignal;
}

/** Keys are replaced in steps of minutes. */
const READ_EVERY_MS = 60_000;

/** Reads the keys, and again every minute. Throws a Fault if that fails at first; later the last keys stay in use. */
export async function createSigner({ file: path, issuer, log, signal }: SignerOptions): Promise<Signer> {
  const where = `the file ${path}`;
  const file = await watchFile(
    {
      path,
      everyMs: READ_EVERY_MS,
      parse: (pem) => readSigningKeys(pem, where),
      missing: (cause) => createMissingFault(where, cause),
      onUnreadable: (error) => log.warn({ err: error }, "the signing keys cannot be read; the last ones are used"),
    },
    signal,
  );
  let kept = new Map<string, Kept>();

  const sign: Signer["sign"] = (type, claims) => file.content[0].sign(type, claims);
  return {
    issuer,
    get algorithm() {
      return file.content[0].algorithm;
    },
    get publicKeys() {
      return file.content.map(({ publicKey }) => publicKey);
    },
    sign,
    signOnce(token, purpose, nowMs, make) {
      const place = `${token.id} ${purpose}`;
      const last = kept.get(place);
      if (last !== undefined && last.token === token && nowMs < last.untilMs) return last.jwt;
      const { type, claims } = make();
      const jwt = sign(type, claims);
      if (kept.size >= MOST_KEPT) kept = new Map();
      kept.set(place, { token, jwt, untilMs: ((claims.iat + claims.exp) / 2) * 1_000 });
      return jwt;
    },
  };
}

function createMissingFault(where: string, cause: unknown): Fault {
  const problem = "the signing keys cannot be read";
  return new Fault({ faultCode: "APITOKEN_E_CONFIG_INVALID", object: where, problem }, { cause });
}
