/*
 * `offboard`: counts what ends, asks, and creates the OwnerBlock that ends it, in all clusters that share the database.
 */
import { createHash } from "node:crypto";
import { isCode } from "../../kube/api-error.ts";
import { API_VERSION } from "../../kube/resources/group.ts";
import { OWNER_BLOCKS_PATH } from "../../kube/resources/owner-block.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { Fault } from "../../runtime/fault.ts";
import { pause } from "../../runtime/signals.ts";
import { count, formatCount } from "../../runtime/text.ts";
import { formatDuration } from "../../token/duration.ts";
import { type Client, withClient } from "../client/client.ts";
import { confirm } from "../client/confirm.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { note, print, printObject } from "../client/output.ts";
import { getOwnerBlock, type OwnerBlockView } from "../client/owner-block.ts";
import { formatDistance } from "../client/times.ts";
import { countHoldings, type Holdings, readHoldings } from "./holdings.ts";
import { wordBlock } from "./owner.ts";

export type OffboardOptions = ConnectionOptions & {
  readonly at: string | undefined;
  readonly erase: boolean;
  readonly reason: string | undefined;
  readonly yes: boolean;
  readonly "dry-run": boolean;
  readonly timeout: number;
  readonly output: "text" | "json" | "yaml" | "name";
};

const POLL_MS = 500;

/** `kubectl apitoken offboard`; returns its exit code. */
export function runOffboard(context: CommandContext<OffboardOptions>): Promise<number> {
  return withClient(context, async (client) => {
    const { options, argument: owner } = context;
    const holdings = await readHoldings(client, owner);
    announce(holdings, options);
    const block = buildBlock(owner, options);
    await create(client, block, true);
    if (options["dry-run"]) {
      note("Dry run: nobody was blocked.");
      await printObject(block, options.output === "json" ? "json" : "yaml");
      return EXIT.done;
    }
    if (!(await confirm(`Block ${owner}?`, options.yes, client.stop))) return EXIT.stopped;
    await create(client, block, false);
    return follow(client, block.metadata.name, options);
  });
}

function announce(holdings: Holdings, { at, erase }: OffboardOptions): void {
  const { owner, tokens, blocks = [] } = holdings;
  const { apiTokens, ready, namespaces } = countHoldings(holdings);
  note(
    apiTokens === 0
      ? `No ApiToken of this cluster has the owner ${owner}: check the spelling.`
      : `${owner} has ${count(apiTokens, "ApiToken")} in ${count(namespaces, "namespace")}, ${ready} of them Ready:`,
  );
  for (const { namespace, name } of tokens.slice(0, 20)) note(`  ${namespace}/${name}`);
  if (tokens.length > 20) note(`  and ${formatCount(tokens.length - 20)} more`);
  for (const block of blocks) note(`There is already an ${wordBlock(block, new Date())}`);
  const when = at === undefined ? "at once" : `at ${at} (${formatDistance(at, new Date())})`;
  note(`Every token of this owner ends ${when}, in all clusters that share the database, and none is issued.`);
  if (erase)
    note("Then the owner's rows are deleted and the name is replaced in the audit trail. This cannot be undone.");
}

/** The OwnerBlock. Its name follows from the owner, so that blocking somebody twice is noticed. */
export function buildBlock(owner: string, { at, erase, reason }: Pick<OffboardOptions, "at" | "erase" | "reason">) {
  const words = owner
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 60);
  const hash = createHash("sha256").update(owner).digest("hex").slice(0, 8);
  return {
    apiVersion: API_VERSION,
    kind: "OwnerBlock",
    metadata: { name: `offboard-${words === "" ? "" : `${words.replace(/-+$/, "")}-`}${hash}` },
    spec: {
      owner,
      ...(reason === undefined ? {} : { reason }),
      ...(at === undefined ? {} : { effectiveAt: at }),
      ...(erase ? { erase } : {}),
    },
  };
}

type Block = ReturnType<typeof buildBlock>;

async function create({ transport, target }: Client, body: Block, isDryRun: boolean): Promise<void> {
  try {
    await transport.request("POST", OWNER_BLOCKS_PATH, { query: isDryRun ? { dryRun: "All" } : {}, body });
  } catch (error) {
    if (!isCode(error, 409)) throw error;
    const { name } = body.metadata;
    throw new Fault(
      {
        faultCode: "APITOKEN_E_API_REFUSED",
        object: `the API server ${target.server}`,
        problem: `the owner ${body.spec.owner} is blocked already, by the OwnerBlock ${name}`,
        remedy: `"kubectl edit ownerblock ${name}" changes it, "kubectl delete ownerblock ${name}" lifts it`,
      },
      { cause: error },
    );
  }
}

/** Waits until the block is in effect, unless that is to be later. */
async function follow(client: Client, name: string, options: OffboardOptions): Promise<number> {
  const isLater = options.at !== undefined && Date.parse(options.at) > Date.now();
  const block = isLater ? await getOwnerBlock(client, name) : await waitForEffect(client, name, options);
  const isEffective = block !== undefined && findEffect(block)?.status === "True";
  const isDone = isLater || isEffective;
  if (options.output === "name") print(`ownerblock.apitoken.dev/${name}`);
  else if (options.output !== "text") await printObject(block, options.output);
  else print(wordResult(name, block, isLater, options));
  return isDone ? EXIT.done : EXIT.stopped;
}

const findEffect = ({ conditions }: OwnerBlockView) => conditions.find(({ type }) => type === "Effective");

async function waitForEffect(client: Client, name: string, { timeout, erase }: OffboardOptions) {
  const endsAtMs = performance.now() + timeout;
  let block = await getOwnerBlock(client, name);
  const isDone = () =>
    block?.conditions.some(({ type, status }) => type === (erase ? "Erased" : "Effective") && status === "True");
  while (block !== undefined && !isDone() && performance.now() < endsAtMs) {
    await pause(POLL_MS, client.stop);
    client.stop.throwIfAborted();
    block = await getOwnerBlock(client, name);
  }
  return block;
}

function wordResult(
  name: string,
  block: OwnerBlockView | undefined,
  isLater: boolean,
  options: OffboardOptions,
): string {
  const again = `kubectl get ownerblock ${name}`;
  if (block === undefined) return `The OwnerBlock ${name} was deleted meanwhile.`;
  if (isLater)
    return `OwnerBlock ${name} is created, and takes effect at ${options.at}. To lift it: kubectl delete ownerblock ${name}`;
  const effect = findEffect(block);
  if (effect?.status !== "True") {
    return `OwnerBlock ${name} is created, and not in effect after ${formatDuration(options.timeout)}: ${effect?.message ?? "no controller has looked at it"}. See ${again}`;
  }
  return `OwnerBlock ${name} is in effect: ${effect.message}`;
}
