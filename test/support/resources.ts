import { expect } from "vitest";
import { conditionOf, readToken, type TestCluster } from "./cluster.ts";
import { eventually } from "./eventually.ts";

/** Waits until an ApiToken is Ready. */
export function untilReady(cluster: TestCluster, name: string, timeoutMs = 15_000): Promise<void> {
  return eventually(async () => expect(conditionOf(await cluster.get(name), "Ready")?.status).toBe("True"), {
    timeoutMs,
  });
}

/** Waits until an ApiToken is not Ready, for that reason. */
export function untilReason(cluster: TestCluster, name: string, reason: string, timeoutMs = 15_000): Promise<void> {
  return eventually(async () => expect(conditionOf(await cluster.get(name), "Ready")?.reason).toBe(reason), {
    timeoutMs,
  });
}

/** Applies an ApiToken and waits until it is Ready; returns its token. */
export async function issueToken(
  cluster: TestCluster,
  name: string,
  spec: object = { owner: "alice" },
): Promise<string> {
  await cluster.apply(name, spec);
  await untilReady(cluster, name);
  return readToken(await cluster.getSecret(name));
}

/** Applies many ApiTokens, some at once; returns their names. */
export async function applyMany(cluster: TestCluster, prefix: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  const queue = names.entries();
  const work = async () => {
    for (const [index, name] of queue) await cluster.apply(name, { owner: `owner-${index % 50}` });
  };
  await Promise.all(Array.from({ length: 16 }, work));
  return names;
}
