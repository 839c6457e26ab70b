/*
 * What is to be said of every ApiToken of tens of thousands. That must not take longer than a look, so the API server is asked for
 * the columns of its table alone, which is a tenth of the objects.
 */
import { isCode } from "../../kube/api-error.ts";
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { stripControls } from "../../runtime/text.ts";
import type { Client } from "./client.ts";
import { PAGE_SIZE } from "./tokens.ts";

/** What the table says of an ApiToken. It does not have the namespace. */
export interface Sketch {
  readonly name: string;
  readonly isReady: boolean;
  /** The reason of Ready, or "Pending" before the first one. */
  readonly reason: string;
  readonly expiresAt: string | undefined;
  readonly renewAt: string | undefined;
}

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
const CONTINUED = { includeObject: "None", limit: String(PAGE_SIZE) };

/**
 * With this version the API server answers from its memory, whatever its release, as of a moment ago. It ignores the limit then,
 * unless it keeps nothing in memory.
 */
const FIRST = { ...CONTINUED, resourceVersion: "0" };

const RETRIES_OF_EXPIRED = 3;

/** Sketches all ApiTokens of a namespace, or of all, as of one moment. Starts over if the list expires between two pages. */
export async function readSketches(client: Client, namespace: string | undefined): Promise<readonly Sketch[]> {
  for (let retry = 0; ; retry += 1) {
    try {
      return await readOnce(client, namespace);
    } catch (error) {
      if (!isCode(error, 410) || retry === RETRIES_OF_EXPIRED) throw error;
    }
  }
}

async function readOnce({ transport }: Client, namespace: string | undefined): Promise<readonly Sketch[]> {
  const sketches: Sketch[] = [];
  let token: string | undefined;
  do {
    const table: Table = await transport.request("GET", apiTokensPath(namespace), {
      accept: TABLE,
      query: token ? { ...CONTINUED, continue: token } : FIRST,
    });
    const names = table.columnDefinitions?.map(({ name }) => name) ?? [];
    const [name, ready, reason, expires, renews] = ["Name", "Ready", "Reason", "Expires", "Renews"].map((column) =>
      names.indexOf(column),
    ) as [number, number, number, number, number];
    for (const { cells } of table.rows ?? []) {
      sketches.push({
        name: textOf(cells[name]) ?? "",
        isReady: cells[ready] === "True",
        reason: textOf(cells[reason]) ?? "Pending",
        expiresAt: textOf(cells[expires]),
        renewAt: textOf(cells[renews]),
      });
    }
    token = table.metadata.continue;
  } while (token);
  return sketches;
}

function textOf(cell: unknown): string | undefined {
  return typeof cell === "string" && cell !== "" ? stripControls(cell) : undefined;
}

/** Counts ApiTokens by their reason, the most frequent first. */
export function takeCensus(sketches: readonly Pick<Sketch, "isReady" | "reason">[]): Census {
  const reasons = new Map<string, number>();
  for (const { reason } of sketches) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  return {
    total: sketches.length,
    ready: sketches.filter(({ isReady }) => isReady).length,
    reasons: Object.fromEntries([...reasons].sort(([, left], [, right]) => right - left)),
  };
}
