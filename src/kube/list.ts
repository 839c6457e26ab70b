/*
 * For commands that look once and do not watch, such as `doctor` and `uninstall`. They need the whole collection as of
 * one moment, so a list that expires between two pages is started over.
 */
import { KubeApiError } from "./api-error.ts";
import type { KubeTransport } from "./transport.ts";

interface ListPage {
  readonly metadata: { readonly continue?: string };
  readonly items: unknown[] | null;
}

const PAGE_SIZE = 500;
const RETRIES_OF_EXPIRED = 3;

/**
 * Reads a whole collection consistently, page by page, and reduces each object on arrival. Starts over if the list
 * expires meanwhile (410). Throws like `KubeTransport.request`.
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
