/*
 * A name for what a target means, so that it can be recognised: a run looks twice at a definition that it has never used.
 */
import { createHash } from "node:crypto";
import type { TargetConfig } from "./config.ts";

const LETTERS = "abcdef";

/**
 * A hash of everything that decides which rows of a table are deleted: 12 hexadecimal digits, of which the first is a letter,
 * because in YAML 123456789012 and 12e345678901 would be numbers.
 */
export function hashDefinition(config: TargetConfig): string {
  const { table, where, expiresAt, revokedAt, revoked, never, timezone, epoch, retention, cascade } = config;
  const meaning = [table, where, expiresAt, revokedAt, revoked, never, timezone, epoch, retention, cascade];
  const digest = createHash("sha256").update(JSON.stringify(meaning)).digest();
  return LETTERS.charAt((digest[0] ?? 0) % LETTERS.length) + digest.toString("hex", 1).slice(0, 11);
}
