/*
 * What people do during a random walk, including what they should not do. The weights keep the world populated, so
 * that a walk does not end in an empty cluster.
 */
import { CLUSTER_OPERATIONS } from "./cluster-operations.ts";
import type { Operation } from "./operation.ts";
import { ROW_OPERATIONS } from "./row-operations.ts";
import { SECRET_OPERATIONS } from "./secret-operations.ts";
import { TOKEN_OPERATIONS } from "./token-operations.ts";
import { isPassedBy, type Walk } from "./world.ts";

const OPERATIONS: readonly Operation[] = [
  ...TOKEN_OPERATIONS,
  ...SECRET_OPERATIONS,
  ...ROW_OPERATIONS,
  ...CLUSTER_OPERATIONS,
];

/** Carries out one operation, chosen by weight. Returns what it was. */
export async function operate(walk: Walk): Promise<string> {
  const total = OPERATIONS.reduce((sum, [, weight]) => sum + weight, 0);
  let ticket = walk.random.below(total);
  for (const [sentence, weight, operation] of OPERATIONS) {
    ticket -= weight;
    if (ticket >= 0) continue;
    try {
      return `${sentence}: ${await operation(walk)}`;
    } catch (error) {
      if (!isPassedBy(error)) throw error;
      return `${sentence}: not now`;
    }
  }
  throw new Error("the weights do not add up");
}
