/*
 * `version`: the releases of the plugin, the programs in the cluster and the CRDs. A difference is reported, and never an error:
 * whoever upgrades has one for a while.
 */

import { undefinedIfMissing } from "../../kube/api-error.ts";
import { VERSION as API_VERSION, GROUP } from "../../kube/resources/group.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { VERSION } from "../../runtime/version.ts";
import { type Client, withClient } from "../client/client.ts";
import { findDeployments } from "../client/operator.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { note, print, printObject } from "../client/output.ts";

export type VersionOptions = ConnectionOptions & {
  readonly client: boolean;
  readonly output: "text" | "json" | "yaml";
};

/** The fields of `version -o json`. */
export interface Versions {
  readonly client: string;
  /** The programs in the cluster, by their component; undefined if they were not asked for, or cannot be seen. */
  readonly programs?: Readonly<Record<string, string>>;
  /** The versions of the API that the CRDs serve. */
  readonly crds?: readonly string[];
  /** What differs, in words. */
  readonly skew: readonly string[];
}

/** `kubectl apitoken version`; returns its exit code. */
export async function runVersion(context: CommandContext<VersionOptions>): Promise<number> {
  const { output, client: isClientOnly } = context.options;
  const versions: Versions = isClientOnly
    ? { client: VERSION, skew: [] }
    : await withClient(context, readVersions).catch((error: Error) => {
        note(`The cluster was not asked: ${error.message}`);
        return { client: VERSION, skew: [] };
      });
  if (output === "text") print(formatVersions(versions));
  else await printObject(versions, output);
  return EXIT.done;
}

async function readVersions(client: Client): Promise<Versions> {
  const [deployments, group] = await Promise.all([
    findDeployments(client),
    client.transport.request<{ versions: { version: string }[] }>("GET", `/apis/${GROUP}`).catch(undefinedIfMissing),
  ]);
  if (deployments === undefined)
    note("You lack the right to list deployments, so the programs' versions are not known.");
  const programs = Object.fromEntries(
    (deployments ?? []).map(({ component, version }) => [component, version ?? "unknown"] as const),
  );
  const crds = group?.versions.map(({ version }) => version) ?? [];
  return { client: VERSION, programs, crds, skew: findSkew(VERSION, programs, crds) };
}

/** What differs between the plugin and the cluster. */
export function findSkew(
  client: string,
  programs: Readonly<Record<string, string>>,
  crds: readonly string[],
): string[] {
  const minor = (version: string) => version.split(".").slice(0, 2).join(".");
  const others = Object.entries(programs)
    .filter(([, version]) => version !== "unknown" && minor(version) !== minor(client))
    .map(
      ([name, version]) =>
        `The ${name} is ${version}, and this plugin is ${client}: install the plugin of that release.`,
    );
  if (crds.length === 0) return ["The CRDs are not installed.", ...others];
  if (crds.includes(API_VERSION)) return others;
  return [`The CRDs serve ${crds.join(", ")}, and this plugin knows ${API_VERSION}.`, ...others];
}

function formatVersions({ client, programs, crds, skew }: Versions): string {
  const rows = [
    ["plugin", client],
    ...Object.entries(programs ?? {}),
    ...(crds === undefined ? [] : [["CRDs", crds.length === 0 ? "not installed" : crds.join(", ")]]),
  ];
  const width = Math.max(...rows.map(([name = ""]) => name.length)) + 2;
  return [...rows.map(([name = "", version = ""]) => name.padEnd(width) + version), ...skew].join("\n");
}
