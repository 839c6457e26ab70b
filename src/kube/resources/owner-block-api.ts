/*
 * Reads and writes of OwnerBlocks. The controller writes nothing but the status, and only on the version that it
 * observed.
 */

import type { OwnerBlockStatus } from "../../token/block.ts";
import { undefinedIfMissing } from "../api-error.ts";
import type { KubeTransport } from "../transport.ts";
import { API_VERSION } from "./group.ts";
import { OWNER_BLOCKS_PATH, type OwnerBlock, reduceOwnerBlock } from "./owner-block.ts";

/** Reads an OwnerBlock consistently, bypassing all caches; undefined if it does not exist. */
export async function getOwnerBlock(transport: KubeTransport, name: string): Promise<OwnerBlock | undefined> {
  return transport.request("GET", `${OWNER_BLOCKS_PATH}/${name}`).then(reduceOwnerBlock, undefinedIfMissing);
}

/** Writes the status. Returns the resource as it is now; throws a KubeApiError with code 409 if it has changed. */
export async function writeOwnerBlockStatus(
  transport: KubeTransport,
  { metadata: { name, uid, resourceVersion }, spec }: OwnerBlock,
  status: OwnerBlockStatus,
): Promise<OwnerBlock> {
  const result = await transport.request("PUT", `${OWNER_BLOCKS_PATH}/${name}/status`, {
    body: { apiVersion: API_VERSION, kind: "OwnerBlock", metadata: { name, uid, resourceVersion }, spec, status },
  });
  return reduceOwnerBlock(result);
}
