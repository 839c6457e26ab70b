/*
 * The latest use of each token: where it was used, and when. Good or dead: whoever still shows a dead one must learn of it.
 */
import type { Queryable } from "../../postgres/database.ts";
import { noteUses, REPORTS_PER_CALL } from "../../postgres/verifier-reports.ts";
import type { Uses } from "./uses.ts";

/** Collects the latest uses. */
export interface LatestUses {
  note(uses: Uses, atMs: number, address: string | undefined): void;
  /** Reports them. Throws the database's errors; what could not be reported is kept. */
  flush(): Promise<void>;
}

/** Begins with no uses. One entry is kept for each token, whatever happens. */
export function createLatestUses(db: Queryable): LatestUses {
  let used: Uses[] = [];

  const report = (part: readonly Uses[]) =>
    noteUses(
      db,
      part.map(({ id, latestMs, latestAddress }) => ({ id, at: new Date(latestMs), address: latestAddress })),
    );
  return {
    note(uses, atMs, address) {
      uses.latestMs = atMs;
      uses.latestAddress = address;
      if (!uses.isReported) return;
      uses.isReported = false;
      used.push(uses);
    },
    async flush() {
      // In the order of ids, so that two verifiers never wait for each other in turn.
      const batch = used.sort((a, b) => (a.id < b.id ? -1 : 1));
      used = [];
      for (const uses of batch) uses.isReported = true; // a use from now on goes into the next batch
      for (let start = 0; start < batch.length; start += REPORTS_PER_CALL) {
        try {
          await report(batch.slice(start, start + REPORTS_PER_CALL));
        } catch (error) {
          for (const uses of batch.slice(start)) {
            if (!uses.isReported) continue; // it was used again, and waits already
            uses.isReported = false;
            used.push(uses);
          }
          throw error;
        }
      }
    },
  };
}
