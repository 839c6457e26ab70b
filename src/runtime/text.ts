/*
 * Counts, lists, line wrapping and suggestions for misspelt words, in one place so that all programs word them the same
 * way. What depends on a terminal is in terminal.ts.
 */

export { count, formatCount, plural } from "../token/amounts.ts";

/** A list as in a sentence: "a", "a or b", "a, b or c". */
export function joinWords(words: readonly string[], conjunction: "and" | "or"): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? last : `${words.slice(0, -1).join(", ")} ${conjunction} ${last}`;
}

/**
 * Replaces each control character by a space. For all text that comes from users (names, descriptions, database rows):
 * without control characters it can neither take over a terminal nor forge a line of output.
 */
export function stripControls(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, " ");
}

const ZERO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;
const DOUBLE_WIDTH =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60]/u;

/**
 * How many columns a terminal needs for a text without escape sequences. Only an approximation, because Node keeps its own
 * function private: an emoji made of several code points may be counted more than once.
 */
export function measureWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += ZERO_WIDTH.test(character) ? 0 : DOUBLE_WIDTH.test(character) ? 2 : 1;
  return width;
}

/**
 * Breaks a text into lines of at most `width` columns, between words; a word that is longer than a line is split. Line
 * breaks in the text are kept. `indent` is put before every line except the first, and counts towards the width.
 */
export function wrap(text: string, width = 80, indent = ""): string[] {
  const lines: string[] = [];
  const add = (line: string) => void lines.push(lines.length === 0 ? line : indent + line);
  const room = () => Math.max(1, lines.length === 0 ? width : width - measureWidth(indent));
  for (const paragraph of text.split("\n")) {
    let line: string | undefined;
    for (const word of paragraph.split(" ")) {
      const joined: string = line === undefined ? word : `${line} ${word}`;
      if (measureWidth(joined) <= room()) {
        line = joined;
        continue;
      }
      if (line !== undefined) add(line);
      line = word;
      while (measureWidth(line) > room()) {
        const head = takeColumns(line, room());
        if (head === line) break;
        add(head);
        line = line.slice(head.length);
      }
    }
    add(line ?? "");
  }
  return lines;
}

/** The beginning of a text that fits into `width` columns; at least one character. */
export function takeColumns(text: string, width: number): string {
  let taken = "";
  let used = 0;
  for (const character of text) {
    used += measureWidth(character);
    if (taken !== "" && used > width) break;
    taken += character;
  }
  return taken;
}

/** The candidate that a person who typed `word` probably meant; undefined when none is close enough. */
export function findNear(word: string, candidates: Iterable<string>): string | undefined {
  const asked = word.toLowerCase();
  let nearest: string | undefined;
  let leastEdits = Math.max(1, Math.floor(asked.length / 3)) + 1;
  for (const candidate of candidates) {
    const edits = countEdits(asked, candidate.toLowerCase());
    if (edits < leastEdits) {
      nearest = candidate;
      leastEdits = edits;
    }
  }
  return nearest;
}

/** How many letters must be inserted, deleted, replaced or swapped with their neighbour (optimal string alignment). */
function countEdits(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      const isSwap = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwap ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}
