/*
 * Everything that an owner has: ApiTokens in all namespaces, and what blocks them.
 */
import { isCode } from "../../kube/api-error.ts";
import { type ApiTokenView, isReady } from "../client/api-token.ts";
import type { Client } from "../client/client.ts";
import { formatRight } from "../client/faults.ts";
import { type OwnerBlockView, readOwnerBlocks } from "../client/owner-block.ts";
import { readTokens } from "../client/tokens.ts";

export interface Holdings {
  readonly owner: string;
  readonly tokens: readonly ApiTokenView[];
  /** Undefined if the user may not list OwnerBlocks. */
  readonly blocks: readonly OwnerBlockView[] | undefined;
  /** The rights that were missing for the whole picture. */
  readonly missingRights: readonly string[];
}

/** What an owner has, as far as the user may see it. Throws if the user may not list ApiTokens in all namespaces. */
export async function readHoldings(client: Client, owner: string): Promise<Holdings> {
  const [{ tokens }, blocks] = await Promise.all([
    readTokens(client, { namespace: undefined, owner }),
    readOwnerBlocks(client).catch((error: unknown) => {
      if (isCode(error, 403) && error.missingRight) return formatRight(error.missingRight);
      throw error;
    }),
  ]);
  const isKnown = typeof blocks !== "string";
  return {
    owner,
    tokens,
    blocks: isKnown ? blocks.filter((block) => block.owner === owner) : undefined,
    missingRights: isKnown ? [] : [blocks],
  };
}

/** How many ApiTokens there are, how many of them have a token that works, and in how many namespaces. */
export function countHoldings({ tokens }: Holdings): { apiTokens: number; ready: number; namespaces: number } {
  return {
    apiTokens: tokens.length,
    ready: tokens.filter(isReady).length,
    namespaces: new Set(tokens.map(({ namespace }) => namespace)).size,
  };
}
