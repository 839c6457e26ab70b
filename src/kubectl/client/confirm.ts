/*
 * Asks before something happens that cannot be undone, or that happens to many. Without a terminal nobody can answer, so then
 * --yes must be given.
 */
import { createInterface } from "node:readline/promises";
import { ConfigError } from "../../runtime/config.ts";

/** Whether the user agrees. Throws a ConfigError if there is nobody to ask. */
export async function confirm(question: string, hasYes: boolean, stop: AbortSignal): Promise<boolean> {
  if (hasYes) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new ConfigError("there is no terminal to ask on: add --yes, or see with --dry-run what would happen", {
      faultCode: "APITOKEN_E_USAGE",
    });
  }
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await reader.question(`${question} [y/N] `, { signal: stop });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    reader.close();
  }
}
