/*
 * How a random walk looks at everything, after each operation.
 */
import { expect } from "vitest";
import type { Secret } from "../../../src/kube/resources/secret.ts";
import { type Memory, tokensIn } from "./memory.ts";
import { isControlled, listSecrets, type Walk } from "./world.ts";

/** Takes in what there is now. Throws if a token that was dead is accepted. */
export async function remember(walk: Walk): Promise<void> {
  const { memory } = walk;
  for (const secret of await listSecrets(walk)) {
    for (const [id, plaintext] of tokensIn(secret)) memory.plaintexts.set(id, plaintext);
    if (isControlled(secret)) keepVersion(memory, secret);
  }
  const rows = await walk.db.query<{ id: string; uid: string; name: string; owner: string; is_accepted: boolean }>({
    text: `select id, resource_uid as uid, name, owner, apitoken.is_accepted(t, now()) as is_accepted
           from apitoken.tokens t`,
  });
  const accepted = new Set(rows.filter((row) => row.is_accepted).map(({ id }) => id));
  for (const { id, uid, name, owner } of rows) memory.subjects.set(id, { uid, name, owner });
  for (const id of memory.dead)
    expect(accepted, `the token ${id}, which was dead, is accepted again`).not.toContain(id);
  for (const id of memory.subjects.keys()) if (!accepted.has(id)) memory.dead.add(id);
}

function keepVersion({ versions }: Memory, secret: Secret): void {
  const { name, resourceVersion } = secret.metadata;
  const kept = versions.get(name) ?? [];
  if (kept.at(-1)?.metadata.resourceVersion !== resourceVersion) versions.set(name, [...kept, secret]);
}
