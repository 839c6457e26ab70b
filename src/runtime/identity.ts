/*
 * Several replicas of a program run at once, and each needs a name of its own in Leases, logs and the audit trail.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

/** A name that no other replica has: the host's, and a random part. */
export function inventIdentity(prefix = ""): string {
  return `${prefix}${hostname().slice(0, 50 - prefix.length)}-${randomBytes(4).toString("hex")}`;
}
