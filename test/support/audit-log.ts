import { readFileSync } from "node:fs";

/** One write that the API server was asked for (audit.k8s.io/v1), as far as tests look at it. */
export interface AuditedWrite {
  readonly verb: string;
  readonly userAgent: string;
  readonly requestURI: string;
  readonly requestReceivedTimestamp: string;
  readonly objectRef?: { readonly resource: string; readonly namespace?: string; readonly name?: string };
  readonly responseStatus?: { readonly code?: number };
}

/** The writes that the API server carried out for a replica, by its own log; Leases do not count. */
export function readWrites(auditLogPath: string, identity: string, since: Date): AuditedWrite[] {
  return readFileSync(auditLogPath, "utf8")
    .split("\n")
    .filter((line) => line.includes(identity))
    .map((line) => JSON.parse(line) as AuditedWrite)
    .filter((write) => write.userAgent.includes(identity))
    .filter((write) => write.objectRef?.resource !== "leases" && (write.responseStatus?.code ?? 0) < 300)
    .filter((write) => new Date(write.requestReceivedTimestamp) > since);
}
