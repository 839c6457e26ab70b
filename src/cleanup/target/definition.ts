/*
 * A name for what a target means, so that it can be recognised: a run looks twice at a definition that it has never used.
 */
import { createHash } from "node:crypto";
import type { TargetConfig } from "./config.ts";

/** A hash of everything that decides which rows of a table are deleted: 12 hexadecimal digits. */
export function hashDefinition(config: TargetConfig): string {
  const { table, where, expiresAt, revokedAt, revoked, never, timezone, epoch, retention, cascade } = config;
  const meaning = [table, where, expiresAt, revokedAt, revoked, never, timezone, epoch, retention, cascade];
  return createHash("sha256").update(JSON.stringify(meaning)).digest("hex").slice(0, 12);
}
