/*
 * What a random walk has seen: only somebody who has kept every token that there ever was can tell whether a dead one is
 * accepted again.
 */
import type { Secret } from "../../../src/kube/resources/secret.ts";

/** What was seen so far. */
export interface Memory {
  /** The plaintext of each token that was ever in a Secret, by the token's id. */
  readonly plaintexts: Map<string, string>;
  /** Which ApiToken (by uid) and which owner each row was seen to belong to, by the token's id. */
  readonly subjects: Map<string, Subject>;
  /** The tokens that were seen to be dead. */
  readonly dead: Set<string>;
  /** The versions of each Secret of ours, by its name, the latest last. */
  readonly versions: Map<string, Secret[]>;
}

export interface Subject {
  readonly uid: string;
  readonly name: string;
  readonly owner: string;
}

export function createMemory(): Memory {
  return { plaintexts: new Map(), subjects: new Map(), dead: new Set(), versions: new Map() };
}

export const PLAINTEXT = /apt_[0-9A-Za-z]{61}/g;

/** The id is a part of the plaintext, after the prefix. */
const idOf = (plaintext: string) => plaintext.slice(4, 16);

/** The tokens in a Secret, wherever in its values, by their ids. */
export function tokensIn({ data = {} }: Secret): Map<string, string> {
  const texts = Object.values(data).map((value) => Buffer.from(value, "base64").toString());
  return new Map(texts.flatMap((text) => text.match(PLAINTEXT) ?? []).map((plaintext) => [idOf(plaintext), plaintext]));
}
