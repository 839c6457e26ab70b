import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { findChartTools } from "../../local/setup/chart-tools.mjs";
import { getJson, kubectl, kubectlApply, run } from "./programs.ts";

export const SYSTEM = "e2e-apitoken-system";
export const TENANT = "e2e-tenant";
export const RELEASE = "tokens";
export const FULLNAME = "tokens-apitoken-operator";

/** The chart at hand. */
export const CHART = fileURLToPath(new URL("../../charts/apitoken-operator", import.meta.url));

export interface Images {
  readonly registry: string;
  /** That which the chart names, if undefined. */
  readonly tag: string | undefined;
  readonly postgres: string;
}

/** A chart, by whatever reference helm takes, with the images that it is to run. */
export interface Version {
  readonly chart: string;
  readonly images: Images;
}

/** The name of an image, by the Dockerfile's target. */
export function imageName({ registry, tag }: { registry: string; tag: string }, target: string): string {
  return `${registry === "" ? "" : `${registry}/`}apitoken-operator-${target}:${tag}`;
}

/** Runs helm with this on its standard input. */
function helmWith(input: string, ...args: string[]): Promise<string> {
  return run(findChartTools().helm ?? "helm", args, input);
}

export function helm(...args: string[]): Promise<string> {
  return helmWith("", ...args);
}

/**
 * `helm install` or `helm upgrade`, with what the e2e needs over the defaults: values that every version of the chart has.
 * Returns what helm says of the release's state.
 */
export async function deploy(
  verb: "install" | "upgrade",
  { chart, images }: Version,
  over: object,
  ...args: string[]
): Promise<string> {
  const { registry, tag } = images;
  const tags = ["controller", "cleanup", "migrate"].map((name) => [name, { tag }]);
  const values = {
    image: { registry, ...(tag === undefined ? {} : Object.fromEntries(tags)) },
    devPostgres: { enabled: true, image: images.postgres },
    cleanup: { schedule: "* * * * *" },
    extraObjects: [ALLOW_CONSUMER],
    ...over,
  };
  const all = [verb, RELEASE, chart, "--namespace", SYSTEM, "--values", "-", ...args];
  const said = await helmWith(stringify(values), ...all);
  return /STATUS: \w+/.exec(said)?.[0] ?? said;
}

/** The e2e's consumer talks to Postgres itself, which the chart's NetworkPolicy lets nobody do but the operator. */
const ALLOW_CONSUMER = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "e2e-consumer" },
  spec: {
    podSelector: { matchLabels: { "app.kubernetes.io/component": "dev-postgres" } },
    policyTypes: ["Ingress"],
    ingress: [
      {
        from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": TENANT } } }],
        ports: [{ port: 5432 }],
      },
    ],
  },
};

/** Two namespaces that admit what passes Pod Security "restricted", and nothing else. */
export async function createNamespaces(): Promise<void> {
  const labels = Object.fromEntries(
    ["enforce", "warn", "audit"].map((mode) => [`pod-security.kubernetes.io/${mode}`, "restricted"]),
  );
  await kubectlApply(
    [SYSTEM, TENANT].map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } })),
  );
}

/** Takes away all that an e2e leaves, whatever state it is in. */
export async function removeEverything(): Promise<void> {
  await helm("uninstall", RELEASE, "--namespace", SYSTEM, "--ignore-not-found", "--wait").catch(() => {});
  await releaseApiTokens().catch(() => {}); // no CRD, no ApiTokens
  const crds = ["apitokens", "apitokenpolicies", "ownerblocks"].map((plural) => `${plural}.apitoken.dev`);
  await kubectl("delete", "crd", ...crds, "--ignore-not-found", "--timeout=60s");
  await kubectl("delete", "namespace", SYSTEM, TENANT, "--ignore-not-found", "--timeout=120s");
}

/** Nobody is there who would take the finalizers off. */
async function releaseApiTokens(): Promise<void> {
  const { items } = await getJson<{ items: { metadata: { name: string; namespace: string } }[] }>("apitokens", "-A");
  for (const { metadata } of items) {
    const patch = '{"metadata":{"finalizers":null}}';
    await kubectl("patch", "apitoken", metadata.name, "-n", metadata.namespace, "--type=merge", "-p", patch);
  }
}
