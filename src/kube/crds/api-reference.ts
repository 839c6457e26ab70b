/*
 * Builds docs/api.md from the CRDs, so that the reference cannot differ from what `kubectl explain` shows.
 */
import { API_VERSION } from "../resources/group.ts";
import type { Rule } from "../resources/schema.ts";
import {
  BLOCK_CONDITION_GUIDES,
  CONDITION_GUIDES,
  type ConditionGuide,
  KIND_GUIDES,
  POLICY_CONDITION_GUIDES,
} from "./api-guide.ts";
import { buildCrds } from "./crd.ts";
import { MARK_GUIDES } from "./mark-guide.ts";

/** A node of a CRD's OpenAPI schema. */
export interface SchemaNode {
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode;
  readonly items?: SchemaNode;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-validations"?: readonly Rule[];
}

/** A field with its path, such as `spec.secret.name` or `spec.namespaceSelector.matchExpressions[].key`. */
export interface Field {
  readonly path: string;
  readonly node: SchemaNode;
  readonly isRequired: boolean;
}

interface Crd {
  readonly spec: {
    readonly names: { readonly kind: string; readonly plural: string; readonly shortNames: readonly string[] };
    readonly scope: string;
    readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: SchemaNode } }];
  };
}

/** The fields of spec and status of every kind, spec and status themselves first. */
export function listFields(): Record<string, Field[]> {
  return Object.fromEntries(readCrds().map(({ kind, root }) => [kind, fieldsOfRoot(root)]));
}

/** The text of docs/api.md. `readExample` reads a file of the project. */
export function buildApiReference(readExample: (file: string) => string): string {
  const kinds = readCrds();
  return [
    "<!-- Written by `npm run generate`. Change src/kube/resources instead. -->",
    "# API reference",
    `Group and version: \`${API_VERSION}\`. \`kubectl explain\` shows the same field by field, for example \`kubectl explain apitoken.spec.rotation\`. ` +
      "A duration is a Go duration such as `720h`, `90m` or `1h30m`; a time is RFC 3339 in whole seconds. Times are compared with the database's clock.",
    "How these work together over a token's life, and what to do about each reason, is in [lifecycle.md](lifecycle.md).",
    ...kinds.flatMap((kind) => buildChapter(kind, readExample)),
    "## Labels, annotations and finalizers",
    table(
      ["on", "name", "set by", "meaning"],
      MARK_GUIDES.map(({ on, name, setBy, meaning }) => [on, code(name), setBy, meaning]),
    ),
    "`secret.labels` and `secret.annotations` accept no key that starts with `apitoken.dev/`. Do not edit what is internal: the controller restores it, or issues another token.",
  ]
    .join("\n\n")
    .concat("\n");
}

type Kind = ReturnType<typeof readCrds>[number];

function readCrds() {
  const order = Object.keys(KIND_GUIDES);
  const kinds = Object.values(buildCrds()).map((crd) => {
    const { names, scope, versions } = (crd as unknown as Crd).spec;
    return { ...names, scope, root: versions[0].schema.openAPIV3Schema };
  });
  return kinds.sort((left, right) => order.indexOf(left.kind) - order.indexOf(right.kind));
}

function buildChapter(
  { kind, plural, shortNames, scope, root }: Kind,
  readExample: (file: string) => string,
): string[] {
  const guide = KIND_GUIDES[kind];
  if (guide === undefined) throw new Error(`api-guide.ts has no chapter on ${kind}`);
  const fields = fieldsOfRoot(root);
  const conditions = CONDITIONS[kind];
  return [
    `## ${kind}`,
    `${root.description} ${scope === "Cluster" ? "Cluster-scoped" : "Namespaced"}; \`kubectl get ${plural}\`, or \`${shortNames[0]}\` for short.`,
    ...guide.paragraphs,
    `\`\`\`yaml\n${readExample(guide.example).trim()}\n\`\`\``,
    `### ${kind}: spec`,
    describeFields(fields, "spec"),
    `### ${kind}: status`,
    root.properties?.status?.description ?? "",
    describeFields(fields, "status"),
    ...(conditions === undefined ? [] : [`### ${kind}: conditions`, describeConditions(conditions)]),
    `### ${kind}: rules`,
    "What the API server checks in addition to types, in CEL. A request that breaks a rule is refused with its message.",
    describeRules(fields),
  ];
}

function describeFields(fields: readonly Field[], root: "spec" | "status"): string {
  const rows = fields
    .filter(({ path }) => path.startsWith(`${root}.`))
    .map((field) => [
      code(field.path.slice(root.length + 1)),
      describeType(field.node),
      ...(root === "spec" ? [describeDefault(field), describeLimits(field.node)] : []),
      field.node.description ?? "",
    ]);
  return table(["field", "type", ...(root === "spec" ? ["default", "limits"] : []), "description"], rows);
}

const CONDITIONS: Readonly<Record<string, readonly ConditionGuide<string, string>[]>> = {
  ApiToken: CONDITION_GUIDES,
  ApiTokenPolicy: POLICY_CONDITION_GUIDES,
  OwnerBlock: BLOCK_CONDITION_GUIDES,
};

function describeConditions(guides: readonly ConditionGuide<string, string>[]): string {
  const rows = guides.map(({ type, status, meaning, reasons }) => [
    code(type),
    status,
    meaning,
    reasons.map(code).join(", "),
  ]);
  return table(["condition", "status", "meaning", "reasons"], rows);
}

function describeRules(fields: readonly Field[]): string {
  const rows = fields.flatMap(({ path, node }) =>
    withItems(path, node).flatMap(([at, each]) =>
      (each["x-kubernetes-validations"] ?? []).map(({ rule, message, messageExpression }) => [
        code(at),
        code(rule),
        message ?? code(messageExpression ?? ""),
      ]),
    ),
  );
  return table(["field", "rule", "message"], rows);
}

/** A list's own rules, and those of its items unless these are objects, which have fields of their own. */
function withItems(path: string, node: SchemaNode): [string, SchemaNode][] {
  return node.items === undefined || node.items.properties !== undefined
    ? [[path, node]]
    : [
        [path, node],
        [`${path}[]`, node.items],
      ];
}

function fieldsOfRoot({ properties = {}, required = [] }: SchemaNode): Field[] {
  return (["spec", "status"] as const).flatMap((path) => {
    const node = properties[path];
    return node === undefined ? [] : [{ path, node, isRequired: required.includes(path) }, ...fieldsBelow(path, node)];
  });
}

function fieldsBelow(path: string, node: SchemaNode): Field[] {
  if (node.items !== undefined) return fieldsBelow(`${path}[]`, node.items);
  const rules = node["x-kubernetes-validations"] ?? [];
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    // Some fields are required by a CEL rule instead, because its message can name the remedy.
    const isRequired = node.required?.includes(name) || rules.some(({ rule }) => rule === `has(self.${name})`);
    const at = `${path}.${name}`;
    return [{ path: at, node: child, isRequired }, ...fieldsBelow(at, child)];
  });
}

function describeType(node: SchemaNode): string {
  if (node.items !== undefined) {
    return `${node["x-kubernetes-list-type"] === "set" ? "set" : "list"} of ${describeType(node.items)}`;
  }
  if (node.additionalProperties !== undefined) return `map of ${describeType(node.additionalProperties)}`;
  return node.format === "date-time" ? "time" : (node.type ?? "");
}

function describeDefault({ node, isRequired }: Field): string {
  if (isRequired) return "required";
  const text = node.default === undefined ? "{}" : JSON.stringify(node.default);
  return text === "{}" ? "" : code(typeof node.default === "string" && node.default !== "" ? node.default : text);
}

function describeLimits(node: SchemaNode): string {
  const { items, additionalProperties } = node;
  return [
    node.enum?.map(code).join(", "),
    range(node.minimum, node.maximum, ""),
    range(node.minLength, node.maxLength, " characters"),
    range(node.minItems, node.maxItems, " items"),
    range(undefined, node.maxProperties, " keys"),
    items && range(items.minLength, items.maxLength, " characters each"),
    additionalProperties && range(undefined, additionalProperties.maxLength, " characters each"),
  ]
    .filter((part) => part)
    .join("; ");
}

function range(from: number | undefined, to: number | undefined, unit: string): string | undefined {
  if (from === undefined && to === undefined) return undefined;
  if (to === undefined) return `at least ${from}${unit}`;
  return from === undefined ? `at most ${to}${unit}` : `${from} to ${to}${unit}`;
}

function code(text: string): string {
  return `\`${text}\``;
}

/** A table in GitHub's Markdown, where a bar would end the cell, even inside code. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}
