/*
 * `controller uninstall` as a process: connections, output and exit code around the release.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { EXIT } from "../../runtime/exit-codes.ts";
import { inventIdentity } from "../../runtime/identity.ts";
import { createLogger } from "../../runtime/log.ts";
import { count, plural, stripControls } from "../../runtime/text.ts";
import { createTokenHasher } from "../../runtime/token-hash.ts";
import { readControllerConfig } from "../config.ts";
import { connect } from "../startup.ts";
import { type UninstallReport, uninstall } from "./uninstall.ts";

/** `controller uninstall`; returns its exit code. */
export async function runUninstall(context: CommandContext<{ readonly revoke: boolean }>): Promise<number> {
  const { options, environment, stop } = context;
  const config = readControllerConfig(environment);
  const identity = inventIdentity("uninstall-");
  const log = createLogger("controller uninstall", "error");
  const { transport, db, close } = await connect(config, identity, log);
  try {
    const parts = { config, transport, db, hasher: createTokenHasher(), identity, log, signal: stop };
    const report = await uninstall({ ...parts, mustRevoke: options.revoke });
    process.stdout.write(format(report));
    return report.failed.length === 0 ? EXIT.done : EXIT.failed;
  } finally {
    await close();
  }
}

function format({ released, deleted, revoked, failed }: UninstallReport): string {
  const gone = plural(
    deleted,
    "that was already being deleted is gone, along with its tokens and Secret",
    "that were already being deleted are gone, along with their tokens and Secrets",
  );
  const lines = [
    revoked === undefined
      ? "No token was revoked: tokens keep working until they expire. To revoke them all, use --revoke."
      : `${count(revoked, "token")} revoked.`,
    `${count(released, "ApiToken")} released: the finalizer is removed.`,
    ...(deleted === 0 ? [] : [`${count(deleted, "ApiToken")} ${gone}.`]),
    ...failed.map(({ key, reason }) => stripControls(`${key} still has the finalizer: ${reason}`)),
    ...(failed.length === 0
      ? ["You can now remove the operator."]
      : [
          "Run this again once that is fixed. To release an ApiToken without revoking its token, run " +
            'kubectl patch apitoken NAME --type=merge -p \'{"metadata":{"finalizers":null}}\'',
        ]),
  ];
  return `${lines.join("\n")}\n`;
}
