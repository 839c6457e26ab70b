/*
 * What the e2e installs and removes. It deploys the chart as a user would, with values that every version of it has, so
 * that an upgrade from an older version can be tested with the same code.
 */
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { findChartTools } from "../../local/setup/chart-tools.mjs";
import { getJson, kubectl, kubectlApply, run } from "./programs.ts";

export const SYSTEM = "e2e-apitoken-system";
export const TENANT = "e2e-tenant";
export const GATEWAYS = "e2e-gateways";
export const NAMESPACES = [SYSTEM, TENANT, GATEWAYS] as const;
export const RELEASE = "tokens";
export const FULLNAME = "tokens-apitoken-operator";

/** The images, as the Dockerfile names their targets. */
export const TARGETS = ["controller", "cleanup", "migrate", "verifier"] as const;

/** The chart in this checkout. */
export const CHART = fileURLToPath(new URL("../../charts/apitoken-operator", import.meta.url));

export interface Images {
  readonly registry: string;
  /** If undefined, the one that the chart names. */
  readonly tag: string | undefined;
  readonly postgres: string;
}

/** A chart, by any reference that helm accepts, with the images that it should run. */
export interface Version {
  readonly chart: string;
  readonly images: Images;
}

/** The name of the image of a target of the Dockerfile. */
export function imageName({ registry, tag }: { registry: string; tag: string }, target: string): string {
  return `${registry === "" ? "" : `${registry}/`}apitoken-operator-${target}:${tag}`;
}

/** Runs helm with a text on its standard input. */
function helmWith(input: string, ...args: string[]): Promise<string> {
  return run(findChartTools().helm ?? "helm", args, input);
}

export function helm(...args: string[]): Promise<string> {
  return helmWith("", ...args);
}

/**
 * Runs `helm install` or `helm upgrade` with the values that the e2e needs. Returns the state of the release as helm
 * reports it.
 */
export async function deploy(
  verb: "install" | "upgrade",
  { chart, images }: Version,
  over: object,
  ...args: string[]
): Promise<string> {
  const { registry, tag } = images;
  // An older chart may not know the verifier.
  const hasVerifier = chart === CHART;
  const tags = TARGETS.filter((name) => hasVerifier || name !== "verifier").map((name) => [name, { tag }]);
  const values = {
    image: { registry, ...(tag === undefined ? {} : Object.fromEntries(tags)) },
    devPostgres: { enabled: true, image: images.postgres },
    cleanup: { schedule: "* * * * *" },
    ...(hasVerifier ? { verifier: { enabled: true }, networkPolicy: { verifyFrom: [inNamespace(GATEWAYS)] } } : {}),
    extraObjects: [ALLOW_CONSUMER],
    ...over,
  };
  const all = [verb, RELEASE, chart, "--namespace", SYSTEM, "--values", "-", ...args];
  const said = await helmWith(stringify(values), ...all);
  return /STATUS: \w+/.exec(said)?.[0] ?? said;
}

/** A NetworkPolicy's peer: every pod of a namespace. */
function inNamespace(name: string): object {
  return { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } } };
}

/** The e2e's consumer connects to Postgres, which the chart's NetworkPolicy allows only to the operator. */
const ALLOW_CONSUMER = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "e2e-consumer" },
  spec: {
    podSelector: { matchLabels: { "app.kubernetes.io/component": "dev-postgres" } },
    policyTypes: ["Ingress"],
    ingress: [
      {
        from: [inNamespace(TENANT)],
        ports: [{ port: 5432 }],
      },
    ],
  },
};

/** Creates the namespaces, which admit only what passes Pod Security "restricted". */
export async function createNamespaces(): Promise<void> {
  const labels = Object.fromEntries(
    ["enforce", "warn", "audit"].map((mode) => [`pod-security.kubernetes.io/${mode}`, "restricted"]),
  );
  await kubectlApply(NAMESPACES.map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } })));
}

/** Removes everything that an e2e may have left, in any state. */
export async function removeEverything(): Promise<void> {
  await helm("uninstall", RELEASE, "--namespace", SYSTEM, "--ignore-not-found", "--wait").catch(() => {});
  await releaseApiTokens().catch(() => {}); // without the CRD there are no ApiTokens
  const crds = ["apitokens", "apitokenpolicies", "ownerblocks"].map((plural) => `${plural}.apitoken.dev`);
  await kubectl("delete", "crd", ...crds, "--ignore-not-found", "--timeout=60s");
  await kubectl("delete", "namespace", ...NAMESPACES, "--ignore-not-found", "--timeout=120s");
}

/** Removes finalizers, because no controller is left to do it. */
async function releaseApiTokens(): Promise<void> {
  const { items } = await getJson<{ items: { metadata: { name: string; namespace: string } }[] }>("apitokens", "-A");
  for (const { metadata } of items) {
    const patch = '{"metadata":{"finalizers":null}}';
    await kubectl("patch", "apitoken", metadata.name, "-n", metadata.namespace, "--type=merge", "-p", patch);
  }
}
