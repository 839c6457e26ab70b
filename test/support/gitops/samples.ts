/*
 * Samples for tools that do not run in the tests are carried out in the simplest way that does the same.
 */
import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

/** A Kubernetes object, as a file has it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** The path of a file below gitops/. */
export const pathOfSample = (file: string) => new URL(`../../../gitops/${file}`, import.meta.url).pathname;

/** The objects in a file below gitops/. */
export function readSample(file: string): Manifest[] {
  return parseAllDocuments(readFileSync(pathOfSample(file), "utf8")).map((document) => document.toJS() as Manifest);
}

/** What Kyverno makes of a ValidatingPolicy in a cluster that has admission policies: one of these, and its binding. */
export function toAdmissionPolicy({ metadata, spec }: Manifest): object[] {
  const { validationActions, ...rest } = spec;
  const kind = { apiVersion: "admissionregistration.k8s.io/v1" };
  return [
    { ...kind, kind: "ValidatingAdmissionPolicy", metadata, spec: { failurePolicy: "Fail", ...rest } },
    {
      ...kind,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata,
      spec: { policyName: metadata?.name, validationActions },
    },
  ];
}

interface Patch {
  readonly type: string;
  readonly fromFieldPath: string;
  readonly toFieldPath: string;
  readonly transforms?: readonly { readonly string: { readonly fmt: string } }[];
}

interface Step {
  readonly input: { readonly resources: readonly { readonly base: object; readonly patches: readonly Patch[] }[] };
}

/** The objects that a Composition with function-patch-and-transform makes for a composite resource. */
export function compose({ spec }: Manifest, composite: object): object[] {
  return (spec.pipeline as Step[]).flatMap(({ input }) =>
    input.resources.map(({ base, patches }) => {
      const result = structuredClone(base);
      for (const { type, fromFieldPath, toFieldPath, transforms = [] } of patches) {
        if (type !== "FromCompositeFieldPath") throw new Error(`unknown patch ${type}`);
        const value = splitPath(fromFieldPath).reduce<unknown>((node, key) => (node as Tree)[key], composite);
        const text = transforms.reduce((current, { string: { fmt } }) => fmt.replace("%s", `${current}`), value);
        setAt(result as Tree, splitPath(toFieldPath), text);
      }
      return result;
    }),
  );
}

type Tree = { [key: string]: unknown };

const splitPath = (path: string) => path.split(/[.[\]]+/).filter((key) => key !== "");

function setAt(tree: Tree, [key = "", ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    tree[key] = value;
    return;
  }
  tree[key] ??= {};
  setAt(tree[key] as Tree, rest, value);
}
