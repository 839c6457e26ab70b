/*
 * `npm start`: the quickest way to see the operator, with nothing to install but Node. It cleans up after itself, no
 * matter how it ends.
 */
import { parseArgs } from "node:util";
import { say, warn } from "./console.ts";
import { type Stage, startStage } from "./stage.ts";
import { runTour } from "./tour.ts";

const HELP = `npm start: apitoken-operator on a real control plane and a real Postgres, on this machine

  npm start                                  set everything up, take a tour, and keep running until Ctrl-C
  npm start -- --exit                        exit after the tour, with code 1 if a step failed
  npm start -- --no-tour --state-dir DIR     only start everything, and write DIR/env for "source DIR/env"
  npm start -- --help                        print this

Every start begins from scratch and removes what an earlier one left in DIR. DIR/env sets KUBECONFIG, KUBECTL,
DATABASE_URL (of the superuser), CONTROLLER_METRICS_URL, VERIFIER_URL (for gateways), VERIFIER_INTROSPECTION_URL (for
backends), VERIFIER_METRICS_URL, GATEWAY_URL (of a gateway that asks the verifier), and the PIDs CONTROLLER_PID,
VERIFIER_PID, APISERVER_PID and POSTGRES_PID. It uses free ports, so several can run at once, each with its own DIR.
`;

process.exitCode = await main();

async function main(): Promise<number> {
  const options = readOptions();
  if (options === undefined) return 2;
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
  const stopped = new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
  const hold = setInterval(() => {}, 3_600_000); // neither the servers nor the programs keep this process alive
  const watch = watchNpm(() => stop.abort());

  let stage: Stage | undefined;
  try {
    stage = await startStage(options["state-dir"], stop.signal);
    let code = 0;
    if (!options["no-tour"]) code = (await runTour(stage, stop.signal)) ? 0 : 1;
    if (options.exit || stop.signal.aborted) return code;
    say(farewell(stage, options["no-tour"] !== true));
    const ended = await Promise.race([stopped, ...namePrograms(stage)]);
    if (ended !== undefined) warn(ended);
    return ended === undefined ? code : 1;
  } catch (error) {
    if (stop.signal.aborted) return 0;
    warn(error instanceof Error ? error.message : String(error));
    return 1;
  } finally {
    await stage?.stop();
    clearInterval(hold);
    clearInterval(watch);
  }
}

/** For each program, what to say when it has ended. */
function namePrograms({ controller, verifier }: Stage): Promise<string>[] {
  return Object.entries({ controller, verifier: verifier.process }).map(([name, { ended, logPath }]) =>
    ended.then(() => `the ${name} ended; its log is ${logPath}`),
  );
}

/** Ends together with npm, if npm has started this: npm does not always pass on a signal that is sent only to it. */
function watchNpm(onGone: () => void): NodeJS.Timeout | undefined {
  if (process.env.npm_lifecycle_event !== "start") return undefined;
  const parent = process.ppid;
  return setInterval(() => {
    if (process.ppid !== parent) onGone();
  }, 500);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        help: { type: "boolean", short: "h" },
        exit: { type: "boolean" },
        "no-tour": { type: "boolean" },
        "state-dir": { type: "string" },
      },
    }).values;
  } catch (error) {
    warn(`${(error as Error).message}\nSee npm start -- --help.`);
    return undefined;
  }
}

function farewell({ stateDir }: Stage, wasToured: boolean): string {
  const again = "\n  kubectl delete apitoken hello          # the tour has revoked it, which is final";
  return `
Everything keeps running. In another shell:

  source ${stateDir}/env${wasToured ? again : ""}
  kubectl apply -f examples/hello.yaml
  kubectl get apitokens -o wide
  TOKEN=$(kubectl get secret hello -o jsonpath='{.data.token}' | base64 -d)
  curl -H "authorization: Bearer $TOKEN" "$GATEWAY_URL/orders"
  kubectl explain apitoken.spec

Ctrl-C stops everything.`;
}
