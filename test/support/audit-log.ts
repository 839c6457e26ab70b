/*
 * Some tests must prove that a replica wrote nothing. Only the API server's own audit log is a witness for that.
 */
import { readFileSync } from "node:fs";

/** One write request from the audit log (audit.k8s.io/v1), with the fields that tests use. */
export interface AuditedWrite {
  readonly verb: string;
  readonly userAgent: string;
  readonly requestURI: string;
  readonly requestReceivedTimestamp: string;
  readonly objectRef?: { readonly resource: string; readonly namespace?: string; readonly name?: string };
  readonly responseStatus?: { readonly code?: number };
}

/** The successful writes of a replica since a time, according to the API server's audit log, except to Leases. */
export function readWrites(auditLogPath: string, identity: string, since: Date): AuditedWrite[] {
  return readFileSync(auditLogPath, "utf8")
    .split("\n")
    .filter((line) => line.includes(identity))
    .map((line) => JSON.parse(line) as AuditedWrite)
    .filter((write) => write.userAgent.includes(identity))
    .filter((write) => write.objectRef?.resource !== "leases" && (write.responseStatus?.code ?? 0) < 300)
    .filter((write) => new Date(write.requestReceivedTimestamp) > since);
}
