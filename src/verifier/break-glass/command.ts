/*
 * `verifier break-glass`: makes a token that works without the database.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { createBreakGlassToken } from "./tokens.ts";

type Options = {
  readonly owner: string | undefined;
  readonly scopes: readonly string[];
  readonly "expires-in": number;
  readonly prefix: string;
  readonly output: "text" | "json";
};

/** Prints the token, which is stored nowhere, and its entry; returns the exit code. `expires-in` is in milliseconds. */
export async function makeBreakGlassToken({ argument: name, options }: CommandContext<Options>): Promise<number> {
  const { owner = name, scopes, "expires-in": lifetimeMs, prefix, output } = options;
  const { plaintext, entry } = createBreakGlassToken({ name, owner, scopes: [...scopes] }, lifetimeMs, prefix);
  process.stdout.write(
    output === "json"
      ? `${JSON.stringify({ token: plaintext, entry })}\n`
      : `The token, which is shown only now:\n\n  ${plaintext}\n\nIts entry, for "tokens" in the file:\n\n  ${JSON.stringify(entry)}\n`,
  );
  return EXIT.done;
}
