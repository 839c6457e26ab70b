/*
 * Which policy applies to an ApiToken, and whether it allows it: the only place where this is decided.
 */
import type { AppliedPolicy, PolicyVerdict } from "./model.ts";

/** An ApiTokenPolicy: whom it applies to, what it allows, and the settings that come with it. */
export interface Policy extends AppliedPolicy {
  readonly priority: number;
  readonly namespaceSelector: LabelSelector;
  /** Globs: `*` matches any text, `${namespace}` is the ApiToken's namespace. */
  readonly owners: readonly string[];
  readonly scopes: readonly string[];
}

/** metav1.LabelSelector: every part must match; an empty selector selects everything. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | undefined;
  readonly matchExpressions?: readonly LabelRequirement[] | undefined;
}

export interface LabelRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[] | undefined;
}

/** The facts about one ApiToken that policies look at. */
export interface PolicySubject {
  readonly namespace: string;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly owner: string;
  readonly scopes: readonly string[];
}

/** Among the policies that select the namespace, the one with the highest priority decides; ties are broken by name. */
export function judge(policies: Iterable<Policy>, subject: PolicySubject): PolicyVerdict {
  const [policy] = [...policies]
    .filter(({ namespaceSelector }) => selects(namespaceSelector, subject.namespaceLabels))
    .sort(comparePrecedence);
  if (policy === undefined) return { kind: "missing" };
  const rule = findBrokenRule(policy, subject);
  return rule === undefined ? { kind: "allowed", applied: policy } : { kind: "denied", name: policy.name, rule };
}

/** Sorts the policy that decides, among those that select a namespace, before the others. */
export function comparePrecedence(left: Policy, right: Policy): number {
  return right.priority - left.priority || (left.name < right.name ? -1 : 1);
}

/** Whether a selector matches these labels by Kubernetes' rules: NotIn also matches if the label is missing. */
export function selects(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return prepareSelector(selector)(labels);
}

/** `selects` with one selector, for many labels. */
export function prepareSelector({
  matchLabels = {},
  matchExpressions = [],
}: LabelSelector): (labels: Readonly<Record<string, string>>) => boolean {
  const pairs = Object.entries(matchLabels);
  return (labels) =>
    pairs.every(([key, value]) => labels[key] === value) &&
    matchExpressions.every((requirement) => meets(requirement, labels));
}

function meets({ key, operator, values = [] }: LabelRequirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/**
 * The first rule of the policy that is broken; undefined if none is. What the policy allows is not repeated: anyone who may
 * create an ApiToken would learn all of it.
 */
function findBrokenRule(policy: Policy, { namespace, owner, scopes }: PolicySubject): string | undefined {
  const matches = (globs: readonly string[], text: string) => globs.some((glob) => matchesGlob(glob, text, namespace));
  if (!matches(policy.owners, owner)) {
    return `owner "${owner}" is not among its owners in namespace "${namespace}"`;
  }
  const forbidden = scopes.find((scope) => !matches(policy.scopes, scope));
  return forbidden === undefined
    ? undefined
    : `scope "${forbidden}" is not among its scopes in namespace "${namespace}"`;
}

const NAMESPACE = "${namespace}";

/** What may be part of a namespace's name, with the placeholder or a wildcard for some of it. */
const WORDS = /(?:[a-z\d*-]|\$\{namespace\})+/gi;

/** A wildcard that may stand for the name of a namespace, before the slash that ends it. */
const ANY_FIRST = /^[a-z\d-]*\*[a-z\d*-]*(?=\/)/i;

/** How a glob reaches beyond the namespace that it names: an example. */
export interface Reach {
  readonly namespace: string;
  /** The glob in that namespace. */
  readonly glob: string;
  /** The name of another namespace, to which some of what the glob matches belongs. */
  readonly other: string;
}

/**
 * An example of how a glob with `${namespace}` gives one namespace what belongs to another: `${namespace}-*` gives `shop`
 * the owners of `shop-eu`. Only a character that no namespace's name has, such as a slash, separates them. Undefined if the
 * glob does not name the namespace, or keeps to it.
 */
export function findReach(glob: string): Reach | undefined {
  const words = glob.match(WORDS)?.filter((word) => word.includes(NAMESPACE)) ?? [];
  if (words.length === 0) return undefined;
  const word = words.find((word) => word !== NAMESPACE) ?? ANY_FIRST.exec(glob)?.[0];
  if (word === undefined) return undefined;
  const inShop = (text: string) => text.replaceAll(NAMESPACE, "shop");
  const other = inShop(word).replaceAll("*", "eu").replace(/^-/, "eu-").replace(/-$/, "-eu");
  return { namespace: "shop", glob: inShop(glob), other };
}

/**
 * Whether a glob matches a whole text. It is matched piece by piece and not as a regular expression, because globs come
 * from users and some expressions take forever.
 */
export function matchesGlob(glob: string, text: string, namespace: string): boolean {
  const [first = "", ...rest] = glob.replaceAll(NAMESPACE, namespace).split("*");
  if (rest.length === 0) return text === first;
  const last = rest.pop() as string;
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  let from = first.length;
  for (const piece of rest) {
    const at = text.indexOf(piece, from);
    if (at === -1 || at + piece.length > text.length - last.length) return false;
    from = at + piece.length;
  }
  return true;
}
