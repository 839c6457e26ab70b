/*
 * Counts ApiTokens by their reason. For tens of thousands of them that must not take longer than a look, so the API server is
 * asked for the columns of its table alone, which is a tenth of the objects.
 */
import { isCode } from "../../kube/api-error.ts";
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { stripControls } from "../../runtime/text.ts";
import type { Client } from "./client.ts";

/** How many ApiTokens there are, how many of them are Ready, and how many have each reason of Ready. */
export interface Census {
  readonly total: number;
  readonly ready: number;
  readonly reasons: Readonly<Record<string, number>>;
}

/** A page of a list in the form of a table (meta.k8s.io/v1). */
interface Table {
  readonly metadata: { readonly continue?: string };
  readonly columnDefinitions: readonly { readonly name: string }[] | null;
  readonly rows: readonly { readonly cells: readonly unknown[] }[] | null;
}

const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PAGE_SIZE = "2500";
const RETRIES_OF_EXPIRED = 3;

/** Counts the ApiTokens of a namespace, or of all. */
export async function takeCensus(client: Client, namespace: string | undefined): Promise<Census> {
  for (let retry = 0; ; retry += 1) {
    try {
      return await countOnce(client, namespace);
    } catch (error) {
      if (!isCode(error, 410) || retry === RETRIES_OF_EXPIRED) throw error;
    }
  }
}

async function countOnce({ transport }: Client, namespace: string | undefined): Promise<Census> {
  const reasons = new Map<string, number>();
  let [total, ready] = [0, 0];
  let token: string | undefined;
  do {
    const table: Table = await transport.request("GET", apiTokensPath(namespace), {
      accept: TABLE,
      query: { limit: PAGE_SIZE, includeObject: "None", ...(token ? { continue: token } : {}) },
    });
    const names = table.columnDefinitions?.map(({ name }) => name) ?? [];
    const [readyAt, reasonAt] = [names.indexOf("Ready"), names.indexOf("Reason")];
    for (const { cells } of table.rows ?? []) {
      const reason = cells[reasonAt];
      const name = typeof reason === "string" && reason !== "" ? stripControls(reason) : "Pending";
      reasons.set(name, (reasons.get(name) ?? 0) + 1);
      total += 1;
      if (cells[readyAt] === "True") ready += 1;
    }
    token = table.metadata.continue;
  } while (token);
  return { total, ready, reasons: Object.fromEntries([...reasons].sort(([, left], [, right]) => right - left)) };
}
