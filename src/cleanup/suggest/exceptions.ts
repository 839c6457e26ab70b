/*
 * Columns that may say that a row outlives its expiry: expiring, never_expires, is_active, kind = 'permanent'. A proposal that
 * ignores one would delete live rows, so each boolean that nothing here understands is named.
 */
import type { CandidateColumn } from "../../postgres/cleanup/candidates.ts";
import { findRole, isSeconds, toSnake } from "./names.ts";
import { columnName, type Rule } from "./rules.ts";

export interface Exceptions {
  /** Keeps the rows out that do not expire. */
  readonly where: string | undefined;
  readonly checks: readonly string[];
  readonly doubts: readonly string[];
}

const NOUN = "(?:expiry|expiration)";
const VERB = "(?:expires?|expiring|expirable)";
const EXPIRES = new RegExp(
  `^(?:(?:is|will|can|may|does|should)_?)?${VERB}(?:_?enabled)?$|^(?:has|have|with|use|enable)_?${NOUN}$|^${NOUN}_?enabled$`,
);
const STAYS = new RegExp(
  `^(?:is_?)?(?:never|non|not|(?:does|do|can|will)_?not|doesnt|dont|cannot|cant|wont)_?${VERB}$` +
    `|^(?:(?:has|have)_?)?(?:no|without|disable)_?${NOUN}$|^${NOUN}_?disabled$|^(?:is_?)?(?:permanent|perpetual|eternal|everlasting)$`,
);

/** Parts of names about whether a row ends. */
const LIFE = new RegExp(
  [
    "expir|perman|perpetu|persist|forever|eternal|everlast|endless|infinit|indefinit|unlimited|never|no_?end|immortal|evergreen",
    "lifetime|long_?li[vf]|long_?term|alive|keep|kept|retain|retention|preserv|pinned|sticky|remember|trusted",
    "activ|enabled|disabled|isvalid|sliding|renew|extend|exempt|protected|service_?account",
    "(?:^|_)(?:pin|live|life|valid|invalid|current|hold|held|locked|system|service|machine|robot|bot|static|root)(?:_|$)",
    "(?:^|_)(?:offline|refresh|refreshable|ttl|temp|temporary|ephemeral|transient|internal|builtin|endures?)(?:_|$)",
  ].join("|"),
);
/** That a message about the end was sent says nothing about the end. */
const NOTICE = /notif|notice|remind|warn|alert|_sent$/;
/** A column that is not a boolean is about life only if little else is in its name. */
const WHOLE =
  /^(?:(?:is|has|can|are)_?)?(?:active|activated|inactive|enabled|valid|permanent|perpetual|persist|persistent|pinned|sticky|remember|remember_?me|long_?lived|keep|keep_?alive|alive|trusted|forever|unlimited|offline)(?:_?flag)?$/;

const STATUS =
  /^(.*_)?(status|state|type|kind|category|class|mode|purpose|intent|level|tier|lifecycle|policy|usage|variety)$/;
const STATUS_TYPES = new Set(["text", "character varying", "character", "smallint", "integer", "bigint"]);
const TEXTS = new Set(["text", "character varying", "character"]);

const ENDLESS =
  /^(?:permanent|perpetual|persist(?:ent)?|never(?:[ _-]?expires?)?|forever|eternal|endless|indefinite|unlimited|infinite|lifetime|no[ _-]?expir(?:y|ation)|non[ _-]?expiring|long[ _-]?(?:lived|term)|offline)$/i;

/** Whether a sample of the column's values is needed: it may have one that means that the row has no end. */
export function mayBeEndless(column: CandidateColumn): boolean {
  return findRole(column) === undefined && TEXTS.has(column.type) && STATUS.test(toSnake(column.name));
}

type Verdict = "expires" | "stays" | "life" | "other" | undefined;

function judge(column: CandidateColumn): Verdict {
  const { type, labels, isSingle = false } = column;
  const name = toSnake(column.name);
  if (findRole(column) !== undefined) return undefined;
  if (type === "boolean") {
    if (NOTICE.test(name)) return "other";
    if (EXPIRES.test(name)) return "expires";
    if (STAYS.test(name)) return "stays";
    return LIFE.test(name) ? "life" : "other";
  }
  if (/expir/.test(name) && !NOTICE.test(name)) return "life";
  if (WHOLE.test(name) || STAYS.test(name)) return "life";
  if (isSeconds(column.name) || isSingle || labels) return "other";
  return STATUS.test(name) && STATUS_TYPES.has(type) ? "other" : undefined;
}

/** What the columns that the rule does not use may mean for it. `valuesOf` has those of the sample. */
export function findExceptions(
  columns: readonly CandidateColumn[],
  rule: Rule,
  valuesOf: (column: CandidateColumn) => readonly string[],
): Exceptions {
  const end = rule.ends.join(" and ");
  const rest = columns.filter(({ name }) => !rule.ends.includes(name));
  const verdicts = rest.map((column) => ({ column, verdict: rule.expires ? judge(column) : withoutExpiry(column) }));
  const of = (verdict: Verdict) => verdicts.filter((each) => each.verdict === verdict).map(({ column }) => column);
  const conditions = [
    ...of("expires").map(({ name }) => `${columnName(name)} = true`),
    ...of("stays").map(({ name }) => `${columnName(name)} = false`),
  ];
  const where = conditions.length === 0 ? undefined : conditions.join(" and ");
  const endless = rest.flatMap((column) => findEndless(column, valuesOf(column), end));
  const seconds = rest.filter((column) => findRole(column) === "seconds");
  const zeros = seconds.filter((column) => valuesOf(column).some((value) => Number(value) <= 0));
  const others = [...of("other"), ...seconds].filter(
    ({ name }) => !endless.some((each) => each.name === name) && !zeros.some((each) => each.name === name),
  );
  return {
    where,
    checks: [
      ...(where === undefined ? [] : [`where: do rows that are not ${where} never expire? The cleanup ignores them`]),
      ...(others.length === 0 ? [] : [askAbout(others, end)]),
    ],
    doubts: [
      ...of("life").map(({ name, type }) => doubtLife(name, type, end)),
      ...endless.map(({ doubt }) => doubt),
      ...zeros.map(
        ({ name }) =>
          `${name} has values of 0 or less: if such rows do not end with ${end}, add where, such as ${quoteWhere(name, "<> 0")}`,
      ),
    ],
  };
}

/** A revoked row is dead, whether or not it would have expired. */
function withoutExpiry(column: CandidateColumn): Verdict {
  const verdict = judge(column);
  return verdict === "expires" || verdict === "stays" ? "other" : verdict;
}

/** As YAML shows it: a name in quotes is within a text in quotes. */
const quoteWhere = (name: string, comparison: string) =>
  `where: "${columnName(name).replaceAll('"', '\\"')} ${comparison}"`;

function doubtLife(name: string, type: string, end: string): string {
  const remedy =
    type === "boolean"
      ? `if so, add ${quoteWhere(name, "= true")} or ${quoteWhere(name, "= false")}, whichever is true of the rows that end`
      : `if it says when, name it in expiresAt; if it sets rows apart, add ${quoteWhere(name, "= …")} with the value of those that end`;
  return `${name} may decide whether a row ends with ${end}: ${remedy}`;
}

function askAbout(columns: readonly CandidateColumn[], end: string): string {
  const names = columns.map(({ name }) => name);
  const does = names.length === 1 ? `does ${names[0]}` : `do ${names.join(", ")}`;
  return `what ${does} mean? If some rows do not end with ${end}, add where with the value of those that do`;
}

function findEndless(column: CandidateColumn, values: readonly string[], end: string) {
  const known = findRole(column) === undefined ? [...new Set([...(column.labels ?? []), ...values])] : [];
  const found = known.filter((value) => ENDLESS.test(value)).map((value) => `'${value}'`);
  if (found.length === 0) return [];
  const comparison = found.length === 1 ? `<> ${found[0]}` : `not in (${found.join(", ")})`;
  const doubt = `${column.name} can be ${found.join(", ")}: if such rows do not end with ${end}, add ${quoteWhere(column.name, comparison)}`;
  return [{ name: column.name, doubt }];
}
