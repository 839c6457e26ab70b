/*
 * Prints completions in the form that kubectl and its shells understand, which is cobra's: a candidate a line, and last a
 * directive. Whatever goes wrong, there are just fewer candidates: a message would end up on the command line.
 */
import { kubectlCommand } from "../command.ts";
import { findCandidates } from "./candidates.ts";
import { type Candidate, findSlot } from "./slot.ts";

/** Directives of cobra: complete no file names, or let the shell do so. */
const NO_FILES = ":4";
const FILES = ":0";

/** Prints what could replace the last of these words. */
export async function printCompletions(words: readonly string[]): Promise<void> {
  const slot = findSlot(kubectlCommand, words);
  const candidates = slot.kind === "files" ? [] : await findCandidates(slot);
  const lines = candidates.filter(({ value }) => value.startsWith(slot.prefix)).map(formatCandidate);
  const text = `${[...lines, slot.kind === "files" ? FILES : NO_FILES].join("\n")}\n`;
  // A cluster that does not answer must not keep the shell waiting.
  process.stdout.write(text, () => process.exit(0));
}

function formatCandidate({ value, help }: Candidate): string {
  return help === undefined ? value : `${value}\t${help.split("\n")[0]}`;
}
