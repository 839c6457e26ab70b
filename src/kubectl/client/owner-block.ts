/*
 * An OwnerBlock as the plugin shows it, read as leniently as an ApiToken.
 */
import { undefinedIfMissing } from "../../kube/api-error.ts";
import { readPages } from "../../kube/list.ts";
import { OWNER_BLOCKS_PATH, type OwnerBlock } from "../../kube/resources/owner-block.ts";
import { stripControls } from "../../runtime/text.ts";
import { type ConditionView, readCondition } from "./api-token.ts";
import type { Client } from "./client.ts";

export interface OwnerBlockView {
  readonly name: string;
  readonly owner: string;
  readonly reason: string;
  readonly effectiveAt: string | undefined;
  readonly mustErase: boolean;
  readonly createdAt: string | undefined;
  readonly conditions: readonly ConditionView[];
  readonly tokensRevoked: number | undefined;
}

/** Reads what the API server has returned. */
export function readOwnerBlock(raw: unknown): OwnerBlockView {
  const { metadata, spec, status } = raw as OwnerBlock;
  const { owner, reason, effectiveAt, erase } = (spec ?? {}) as Readonly<Record<string, unknown>>;
  const textOf = (value: unknown) => (typeof value === "string" ? stripControls(value) : "");
  return {
    name: metadata.name,
    owner: textOf(owner),
    reason: textOf(reason),
    effectiveAt: textOf(effectiveAt) || undefined,
    mustErase: erase === true,
    createdAt: metadata.creationTimestamp,
    conditions: (status?.conditions ?? []).map(readCondition),
    tokensRevoked: status?.tokensRevoked,
  };
}

/** All OwnerBlocks of the cluster. */
export async function readOwnerBlocks({ transport, timeoutMs, stop }: Client): Promise<OwnerBlockView[]> {
  const blocks: OwnerBlockView[] = [];
  const options = { fields: {}, readItem: readOwnerBlock, timeoutMs, signal: stop };
  for await (const { items } of readPages(transport, OWNER_BLOCKS_PATH, options)) blocks.push(...(items ?? []));
  return blocks;
}

/** The OwnerBlock of this name; undefined if it does not exist. */
export async function getOwnerBlock({ transport }: Client, name: string): Promise<OwnerBlockView | undefined> {
  return transport.request("GET", `${OWNER_BLOCKS_PATH}/${name}`).then(readOwnerBlock, undefinedIfMissing);
}
