/*
 * Reads lists page by page. Commands that look once and do not watch, such as `doctor` and `uninstall`, need the whole
 * collection as of one moment, so for them a list that expires between two pages is started over.
 */
import { isCode } from "./api-error.ts";
import type { KubeTransport } from "./transport.ts";

/** One answer of the API server to the request for a list. */
export interface ListPage {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
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
      if (!isCode(error, 410) || retry === RETRIES_OF_EXPIRED) throw error;
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
  for await (const page of readPages(transport, path, selector)) {
    for (const item of page.items ?? []) objects.push(reduce(item));
  }
  return objects;
}

/**
 * The pages of a list, all as of one moment. Throws like `KubeTransport.request`; code 410 means that the list has expired
 * between two pages.
 */
export async function* readPages(
  transport: KubeTransport,
  path: string,
  selector: Readonly<Record<string, string>>,
  { pageSize = PAGE_SIZE, signal }: { readonly pageSize?: number | undefined; readonly signal?: AbortSignal } = {},
): AsyncGenerator<ListPage> {
  let token: string | undefined;
  do {
    const query = { ...selector, limit: String(pageSize), ...(token ? { continue: token } : {}) };
    const page: ListPage = await transport.request("GET", path, {
      query,
      timeoutMs: 60_000,
      ...(signal === undefined ? {} : { signal }),
    });
    yield page;
    token = page.metadata.continue;
  } while (token);
}
