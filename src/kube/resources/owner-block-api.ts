import { KubeApiError } from "../api-error.ts";
import type { KubeTransport } from "../transport.ts";
import { API_VERSION } from "./group.ts";
import { OWNER_BLOCKS_PATH, type OwnerBlock, type OwnerBlockStatus, reduceOwnerBlock } from "./owner-block.ts";

/** Reads an OwnerBlock consistently, past all caches; undefined when there is none. */
export async function getOwnerBlock(transport: KubeTransport, name: string): Promise<OwnerBlock | undefined> {
  try {
    return reduceOwnerBlock(await transport.request("GET", `${OWNER_BLOCKS_PATH}/${name}`));
  } catch (error) {
    if (error instanceof KubeApiError && error.code === 404) return undefined;
    throw error;
  }
}

/** Writes the status, if the resource is still as it was seen. Returns the resource as it is now. */
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
