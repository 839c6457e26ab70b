/*
 * What a further ApiToken does to the others of its owner.
 */
import { isCode } from "../../kube/api-error.ts";
import { type ApiTokenView, isReady } from "../client/api-token.ts";
import type { Client } from "../client/client.ts";
import type { Preview } from "../client/preview.ts";
import { readTokens } from "../client/tokens.ts";

type Allowed = Extract<Preview, { kind: "allowed" }>;

/** The owner's ApiTokens that count, the oldest first: those of the cluster, or of the namespace if the user may not look further. */
export async function findRivals(client: Client, owner: string): Promise<readonly ApiTokenView[]> {
  const read = (namespace: string | undefined) => readTokens(client, { namespace, owner });
  const { tokens } = await read(undefined).catch((error: unknown) => {
    if (isCode(error, 403)) return read(client.namespace);
    throw error;
  });
  return tokens
    .filter((token) => token.tokenId !== undefined && isReady(token))
    .sort((left, right) => (left.createdAt ?? "").localeCompare(right.createdAt ?? ""));
}

/** Those that would have to make room for one more. */
export function findExcess(rivals: readonly ApiTokenView[], { perOwner }: Allowed): readonly ApiTokenView[] {
  return rivals.slice(0, Math.max(0, rivals.length + 1 - perOwner.max));
}
