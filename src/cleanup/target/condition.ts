/*
 * Reads the conditions of the configuration: `kind in ('a', 'b') and deleted_at is null`. They look like SQL and are not: every
 * part is read here, and what Postgres gets is written again from the parts.
 */
import type { Comparison, Condition, Constant } from "../../postgres/cleanup/condition.ts";
import { IdentifierError, parseColumnName } from "../../postgres/cleanup/identifiers.ts";

const HOW =
  "write comparisons with =, <>, in (…), is null or is not null, joined by and, such as status = 'revoked' and kind in (1, 2)";

/** Longer conditions are not written by hand. */
const LONGEST = 2_000;

interface Token {
  readonly kind: "name" | "quoted" | "number" | "text" | "sign";
  readonly text: string;
}

const TOKEN =
  /\s*(?:(?<quoted>"(?:[^"\0]|"")+")|'(?<text>(?:[^'\0]|'')*)'|(?<number>-?\d+(?:\.\d+)?)(?![\w$])|(?<name>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(?<sign><>|!=|[=(),]))/y;

/** Reads a condition. Throws an IdentifierError that says what is allowed. */
export function parseCondition(text: string): Condition {
  const tokens = readTokens(text);
  const comparisons: Comparison[] = [];
  do comparisons.push(readComparison(tokens, text));
  while (tokens.takeWord("and"));
  if (!tokens.isEmpty()) throw createFault(text, tokens.next());
  return comparisons;
}

type Tokens = ReturnType<typeof readTokens>;

function readTokens(text: string) {
  if (text.length > LONGEST) throw new IdentifierError(`a condition has at most ${LONGEST} characters`);
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < end; ) {
    const at = TOKEN.lastIndex;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) throw createFault(text, { kind: "sign", text: text.slice(at).trim().slice(0, 20) });
    const [kind, found = ""] = Object.entries(groups).find(([, value]) => value !== undefined) ?? ["sign"];
    tokens.push({ kind: kind as Token["kind"], text: kind === "text" ? found.replaceAll("''", "'") : found });
  }
  let place = 0;
  const isWord = (word: string) => tokens[place]?.kind === "name" && tokens[place]?.text.toLowerCase() === word;
  const take = (isWanted: boolean) => {
    if (isWanted) place += 1;
    return isWanted;
  };
  return {
    isEmpty: () => place === tokens.length,
    next: () => tokens[place++],
    takeWord: (word: string) => take(isWord(word)),
    takeSign: (...signs: string[]) => take(tokens[place]?.kind === "sign" && signs.includes(tokens[place]?.text ?? "")),
  };
}

function readComparison(tokens: Tokens, text: string): Comparison {
  const name = tokens.next();
  if (name?.kind !== "name" && name?.kind !== "quoted") throw createFault(text, name);
  const column = parseColumnName(name.text);
  if (tokens.takeWord("is")) {
    const operator = tokens.takeWord("not") ? "is not null" : "is null";
    if (!tokens.takeWord("null")) throw createFault(text, tokens.next());
    return { column, operator, values: [] };
  }
  if (tokens.takeSign("=")) return { column, operator: "in", values: [readConstant(tokens, text)] };
  if (tokens.takeSign("<>", "!=")) return { column, operator: "not in", values: [readConstant(tokens, text)] };
  const operator = tokens.takeWord("not") ? "not in" : "in";
  if (!tokens.takeWord("in") || !tokens.takeSign("(")) throw createFault(text, tokens.next());
  const values: Constant[] = [];
  do values.push(readConstant(tokens, text));
  while (tokens.takeSign(","));
  if (!tokens.takeSign(")")) throw createFault(text, tokens.next());
  return { column, operator, values };
}

function readConstant(tokens: Tokens, text: string): Constant {
  const token = tokens.next();
  if (token?.kind === "text" || token?.kind === "number") return { type: token.kind, text: token.text };
  const word = token?.kind === "name" ? token.text.toLowerCase() : "";
  if (word === "true" || word === "false") return { type: "boolean", text: word };
  if (word === "null")
    throw new IdentifierError(`${JSON.stringify(text)} compares with null`, "write is null or is not null");
  throw createFault(text, token);
}

function createFault(text: string, at: Token | undefined): IdentifierError {
  const place = at === undefined ? "it ends too early" : `it goes wrong at ${JSON.stringify(at.text)}`;
  return new IdentifierError(`${JSON.stringify(text)} is not a condition: ${place}`, HOW);
}
