/*
 * The steps with which nearly every integration test begins, so that the tests themselves start at what they are about.
 */
import { expect } from "vitest";
import { conditionOf, readToken, type TestCluster } from "./cluster.ts";
import { eventually } from "./eventually.ts";

/** Waits until an ApiToken is Ready. */
export function untilReady(cluster: TestCluster, name: string, timeoutMs = 30_000): Promise<void> {
  // The whole condition, so that a failure shows reason and message.
  return eventually(
    async () => expect(conditionOf(await cluster.get(name), "Ready")).toMatchObject({ status: "True" }),
    { timeoutMs },
  );
}

/**
 * Waits until whatever is created next is newer than this ApiToken: creation times are whole seconds, and within one second the uid
 * decides.
 */
export async function untilNextIsNewer(cluster: TestCluster, name: string): Promise<void> {
  const createdAt = Date.parse((await cluster.get(name))?.metadata.creationTimestamp ?? "");
  await eventually(() => Date.now() >= createdAt + 1_000);
}

/** Waits until the condition Ready of an ApiToken has this reason. */
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

/** Applies many ApiTokens, 16 at a time; returns their names. */
export async function applyMany(cluster: TestCluster, prefix: string, count: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
  const queue = names.entries();
  const work = async () => {
    for (const [index, name] of queue) await cluster.apply(name, { owner: `owner-${index % 50}` });
  };
  await Promise.all(Array.from({ length: 16 }, work));
  return names;
}
