/*
 * Reads lists page by page. Commands that look once and do not watch, such as `doctor` and `uninstall`, need the whole
 * collection as of one moment, so for them a list that expires between two pages is started over.
 */
import { isCode } from "./api-error.ts";
import type { Fields } from "./json-fields.ts";
import type { KubeTransport } from "./transport.ts";

/** One answer of the API server to the request for a list. */
export interface ListPage<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: T[] | null;
}

/** How the objects of a list are read. */
export interface ListOptions<T> {
  /** Which fields are read of large objects. */
  readonly fields: Fields;
  /** Called with each object on arrival; the page has what it returns. */
  readonly readItem: (raw: unknown) => T;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly pageSize?: number | undefined;
  /** For each page; a minute by default. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal;
}

const PAGE_SIZE = 500;
const RETRIES_OF_EXPIRED = 3;

/**
 * Reads a whole collection consistently, page by page, and each object of it on arrival. Starts over if the list expires
 * meanwhile (410). Throws like `KubeTransport.request`.
 */
export async function listAll<T>(transport: KubeTransport, path: string, options: ListOptions<T>): Promise<T[]> {
  for (let retry = 0; ; retry += 1) {
    try {
      const objects: T[] = [];
      for await (const { items } of readPages(transport, path, options)) objects.push(...(items ?? []));
      return objects;
    } catch (error) {
      if (!isCode(error, 410) || retry === RETRIES_OF_EXPIRED) throw error;
    }
  }
}

/**
 * The pages of a list, all as of one moment. Throws like `KubeTransport.request`; code 410 means that the list has expired
 * between two pages.
 */
export async function* readPages<T>(
  transport: KubeTransport,
  path: string,
  { fields, readItem, labelSelector, fieldSelector, pageSize = PAGE_SIZE, timeoutMs = 60_000, signal }: ListOptions<T>,
): AsyncGenerator<ListPage<T>> {
  const selector = {
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
  let token: string | undefined;
  do {
    const page: ListPage<T> = await transport.request("GET", path, {
      query: { ...selector, limit: String(pageSize), ...(token ? { continue: token } : {}) },
      timeoutMs,
      fields,
      readItem,
      ...(signal === undefined ? {} : { signal }),
    });
    yield page;
    token = page.metadata.continue;
  } while (token);
}
