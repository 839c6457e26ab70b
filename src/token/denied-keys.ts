/*
 * Other controllers act on Secrets that carry certain labels and annotations: they take one for a cluster's credentials, a Helm
 * release or a data source, or copy it elsewhere. The right to create ApiTokens must not become the right to all that.
 */
import type { DesiredSecret, ParsedSpec } from "./model.ts";
import { matchesGlob } from "./policy.ts";

/**
 * Which keys a spec may not set on its Secret. Each entry is a glob, in which `*` stands for any text, and is for labels and
 * annotations, or only for what stands before its colon: `label:`, `annotation:` or `data:`. With `=value` it is only for that value.
 */
export type DeniedKeys = readonly string[];

/** Keys under kubernetes.io/, k8s.io/ and apitoken.dev/ are not among them, because the CRD refuses those. */
export const DEFAULT_DENIED_KEYS: DeniedKeys = [
  // Argo CD: credentials of repositories and clusters; what it manages and prunes.
  "argocd.argoproj.io/*",
  "*.argoproj.io/*",
  // Copies to other namespaces.
  "*.emberstack.com/*",
  "replicator.v1.mittwald.de/*",
  "kubed.appscode.com/*",
  "kyverno.io/*",
  "*.kyverno.io/*",
  // Keys and sources of other operators for Secrets.
  "sealedsecrets.bitnami.com/*",
  "external-secrets.io/*",
  "*.external-secrets.io/*",
  "secrets.hashicorp.com/*",
  "*.banzaicloud.com/*",
  "secretgen.carvel.dev/*",
  "cert-manager.io/*",
  "*.cert-manager.io/*",
  // Who a Secret belongs to, and with what it is changed or deleted.
  "label:owner=helm",
  "helm.sh/*",
  "*.helm.sh/*",
  "fluxcd.io/*",
  "*.fluxcd.io/*",
  "kapp.k14s.io/*",
  "olm.*",
  "operators.coreos.com/*",
  "crossplane.io/*",
  "*.crossplane.io/*",
  "*.x-k8s.io/*",
  "velero.io/*",
  "*.velero.io/*",
  // Meshes, platforms and operators that read Secrets by label, in some or all namespaces.
  "istio/*",
  "istio.io/*",
  "*.istio.io/*",
  "linkerd.io/*",
  "*.linkerd.io/*",
  "consul.hashicorp.com/*",
  "*.knative.dev/*",
  "tekton.dev/*",
  "jenkins.io/*",
  "label:grafana_*",
  "strimzi.io/*",
  "cnpg.io/*",
  "openshift.io/*",
  "*.openshift.io/*",
  "cattle.io/*",
  "*.cattle.io/*",
];

/** A spec that sets such a key asks for something that it may not have: it is refused as if it could not be read. */
export function refuseDeniedKeys(spec: ParsedSpec, denied: DeniedKeys): ParsedSpec {
  if (spec.desired === undefined) return spec;
  const { secret, isRevoked, revocationReason, owner, scopes } = spec.desired;
  const found = findDeniedKey(secret, denied);
  if (found === undefined) return spec;
  return {
    problem:
      `${found.field}: the key "${found.key}" is refused, because other controllers act on it. Remove it from the spec, or ` +
      "have it allowed with the controller's setting APITOKEN_DENIED_SECRET_KEYS.",
    remainder: { isRevoked, revocationReason, grantee: { owner, scopes } },
  };
}

function findDeniedKey(secret: DesiredSecret, denied: DeniedKeys): { field: string; key: string } | undefined {
  const places = [
    ["label", "spec.secret.labels", secret.labels],
    ["annotation", "spec.secret.annotations", secret.annotations],
    ["data", "spec.secret.data", secret.data],
    ["data", "spec.secret.key", { [secret.key]: "" }],
  ] as const;
  for (const [kind, field, values] of places) {
    const found = Object.entries(values).find((pair) => denied.some((entry) => matches(entry, kind, pair)));
    if (found !== undefined) return { field, key: found[0] };
  }
  return undefined;
}

/** Kind, glob of the key, and value. */
const ENTRY = /^(?:(label|annotation|data):)?([^=]+)(?:=(.*))?$/;

function matches(entry: string, kind: "label" | "annotation" | "data", [key, value]: [string, string]): boolean {
  const [, kinds, glob = "", deniedValue] = ENTRY.exec(entry) ?? [];
  const isOfKind = kinds === undefined ? kind !== "data" : kinds === kind;
  return isOfKind && matchesGlob(glob, key, "") && (deniedValue === undefined || deniedValue === value);
}
