import { KubeApiError } from "./api-error.ts";
import type { KubeTransport } from "./transport.ts";

interface ListPage {
  readonly metadata: { readonly continue?: string };
  readonly items: unknown[] | null;
}

const PAGE_SIZE = 500;
const RETRIES_OF_EXPIRED = 3;

/**
 * Reads a whole collection, page by page and consistently, each object reduced as it comes in. A list that expires on
 * the way (410) is begun anew. Throws as `KubeTransport.request` does.
 */
export async function listAll<T>(
  transport: KubeTransport,
  path: string,
  reduce: (raw: unknown) => T,
  labelSelector?: string,
): Promise<T[]> {
  for (let retry = 0; ; retry += 1) {
    try {
      return await listPages(transport, path, reduce, labelSelector === undefined ? {} : { labelSelector });
    } catch (error) {
      if (!(error instanceof KubeApiError && error.code === 410) || retry === RETRIES_OF_EXPIRED) throw error;
    }
  }
}

async function listPages<T>(
  transport: KubeTransport,
  path: string,
  reduce: (raw: unknown) => T,
  selector: Readonly<Record<string, string>>,
): Promise<T[]> {
  const objects: T[] = [];
  let token: string | undefined;
  do {
    const query = { ...selector, limit: String(PAGE_SIZE), ...(token ? { continue: token } : {}) };
    const page: ListPage = await transport.request("GET", path, { query, timeoutMs: 60_000 });
    for (const item of page.items ?? []) objects.push(reduce(item));
    token = page.metadata.continue;
  } while (token);
  return objects;
}
