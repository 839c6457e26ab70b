#!/usr/bin/env node
import { ConfigError, readOptions } from "../runtime/config.ts";
import { EXIT_DONE, runProgram } from "../runtime/program.ts";
import { unlessAborted } from "../runtime/signals.ts";
import { VERSION } from "../runtime/version.ts";

const HELP = `apitoken controller ${VERSION}

Reconciles ApiToken resources into Postgres rows (a keyed hash) and Kubernetes Secrets (the token).

Usage: controller [--migrate]
       controller keys status|rotate|remove   see controller keys --help
       controller doctor [--fix] [-o json]     compare cluster and database; mend what differs
       controller uninstall [--revoke]         let go of every ApiToken, before the operator goes

  --migrate    bring the database's schema up to date first (concurrent starts wait for each other)
  --version    print the version
  -h, --help   print this

Settings are environment variables; only DATABASE_URL has no default:

  DATABASE_URL                    postgres://user:password@host:5432/database; the login must be a
                                  member of the role apitoken_controller
  APITOKEN_DATABASE_PASSWORD_FILE a file with the password, read anew for each connection
  KUBECONFIG                      a kubeconfig file; default: the pod's service account
  APITOKEN_NAMESPACE              where the keyring Secret and the Lease are        [apitoken-system]
  APITOKEN_WATCH_NAMESPACES       a,b: look at these namespaces only                [all]
  APITOKEN_IDENTITY               this replica's name in Lease and audit trail      [host name and a random part]
  APITOKEN_HTTP_PORT              /healthz, /readyz, /metrics                       [8080]
  APITOKEN_LOG_LEVEL              debug, info, warn or error                        [info]
  APITOKEN_CONCURRENCY            ApiTokens that are reconciled at once             [16]
  APITOKEN_DATABASE_CONNECTIONS   at most                                           [10]
  APITOKEN_KEYRING_SECRET         name of the keyring's Secret                      [apitoken-keyring]
  APITOKEN_KEYRING_RELOAD         how often it is read again                        [30s]
  APITOKEN_HASH                   what rows hold of a token: hmac-sha256 or bcrypt  [hmac-sha256]
  APITOKEN_BCRYPT_ROUNDS          logarithm of bcrypt's rounds: 10 to 14            [12]
  APITOKEN_LEASE_NAME             name of the Lease                                 [apitoken-controller]
  APITOKEN_LEASE_DURATION         others take over after this                       [15s]
  APITOKEN_LEASE_RENEW_DEADLINE   the leader gives up after this                    [10s]
  APITOKEN_LEASE_RETRY_PERIOD     between two tries                                 [2s]

Example:

  DATABASE_URL=postgres://controller:secret@db:5432/tokens controller --migrate

Exit codes: 0 stopped, 1 failed, 2 bad configuration. The commands' own are in their --help.
`;

await runProgram("controller", async (stop) => {
  const [command, ...rest] = process.argv.slice(2);
  if (command === "keys") {
    const { runKeys } = await import("./keyring/command.ts");
    return unlessAborted(runKeys(rest, process.env), stop);
  }
  if (command === "doctor") {
    const { runDoctor } = await import("./doctor/command.ts");
    return runDoctor(rest, process.env, stop);
  }
  if (command === "uninstall") {
    const { runUninstall } = await import("./uninstall/command.ts");
    return runUninstall(rest, process.env, stop);
  }
  const { values, positionals } = readOptions(process.argv.slice(2), {
    help: { type: "boolean", short: "h" },
    version: { type: "boolean" },
    migrate: { type: "boolean" },
  });
  if (values.help || values.version) {
    process.stdout.write(values.help ? HELP : `${VERSION}\n`);
    return EXIT_DONE;
  }
  if (positionals.length > 0) throw new ConfigError(`"${positionals[0]}" is not an option of controller`);
  // Loaded late: --help answers at once.
  const { run } = await import("./run.ts");
  return run({ mustMigrate: values.migrate ?? false, environment: process.env, stop });
});
