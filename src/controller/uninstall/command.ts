import { ConfigError, readOptions } from "../../runtime/config.ts";
import { createLogger } from "../../runtime/log.ts";
import { EXIT_DONE, EXIT_FAILED } from "../../runtime/program.ts";
import { count, stripControls } from "../../runtime/text.ts";
import { readControllerConfig } from "../config.ts";
import { connect, inventIdentity } from "../startup.ts";
import { type UninstallReport, uninstall } from "./uninstall.ts";

const HELP = `Lets go of every ApiToken before the operator goes, so that none hangs in its deletion afterwards: takes off
the finalizer. Scale the controller to zero first. Tokens and Secrets stay as they are; those of ApiTokens
that are being deleted just now are revoked and removed.

Usage: controller uninstall [--revoke]

  --revoke        revoke every live token of this cluster first
  --help          print this

Settings are the controller's environment variables; see controller --help.

Exit codes: 0 done, 1 failed (a controller leads, or some ApiTokens still have the finalizer), 2 bad usage.
`;

/** `controller uninstall`; returns its exit code. */
export async function runUninstall(
  args: string[],
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<number> {
  const { values, positionals } = readOptions(args, { help: { type: "boolean" }, revoke: { type: "boolean" } });
  if (values.help) {
    process.stdout.write(HELP);
    return EXIT_DONE;
  }
  if (positionals.length > 0) throw new ConfigError(`unknown argument "${positionals[0]}"`);
  const config = readControllerConfig(environment);
  const identity = inventIdentity("uninstall-");
  const log = createLogger("controller uninstall", "error");
  const { transport, db, close } = await connect(config, identity, log);
  try {
    const report = await uninstall({
      config,
      transport,
      db,
      identity,
      log,
      signal,
      mustRevoke: values.revoke ?? false,
    });
    process.stdout.write(format(report));
    return report.failed.length === 0 ? EXIT_DONE : EXIT_FAILED;
  } finally {
    await close();
  }
}

function format({ released, deleted, revoked, failed }: UninstallReport): string {
  const lines = [
    ...(revoked === undefined
      ? ["No token was revoked: each works on until it expires (--revoke ends them all)."]
      : [`${count(revoked, "token")} revoked.`]),
    `${count(released, "ApiToken")} released from the finalizer.`,
    ...(deleted === 0 ? [] : [`${count(deleted, "ApiToken")} that had been deleted gone, with token and Secret.`]),
    ...failed.map(({ key, reason }) => stripControls(`${key} still has the finalizer: ${reason}`)),
    ...(failed.length === 0
      ? ["The operator can go."]
      : [
          "Run this again once that is mended. To let one go without its token being revoked: " +
            'kubectl patch apitoken NAME --type=merge -p \'{"metadata":{"finalizers":null}}\'',
        ]),
  ];
  return `${lines.join("\n")}\n`;
}
