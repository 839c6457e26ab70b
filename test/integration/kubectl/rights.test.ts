/*
 * Somebody who may do nothing at all learns from every command which right to ask for.
 */
import { expect } from "vitest";
import { kubectlCommand } from "../../../src/kubectl/command.ts";
import { clusterTest } from "../../support/fixtures.ts";
import { installPlugin } from "../../support/kubectl.ts";

const test = clusterTest.extend("plugin", { scope: "file" }, async ({ cluster }, { onCleanup }) => {
  const plugin = installPlugin(cluster);
  onCleanup(() => plugin.dispose());
  return plugin;
});

const TOKENS = "apitokens.apitoken.dev";
const HERE = "in the namespace NAMESPACE";
const EVERYWHERE = "in the whole cluster";

/** What each command says, and its exit code; the arguments follow. */
const CASES: Readonly<Record<string, readonly [code: number, says: string, ...args: string[]]>> = {
  status: [1, `lacks the right to list ${TOKENS} ${HERE}`],
  list: [1, `lacks the right to list ${TOKENS} ${HERE}`],
  create: [1, `lacks the right to create ${TOKENS} ${HERE}`, "mine"],
  rotate: [1, `lacks the right to get ${TOKENS} ${HERE}`, "mine"],
  revoke: [1, `lacks the right to get ${TOKENS} ${HERE}`, "mine", "--yes"],
  reveal: [1, `lacks the right to get ${TOKENS} ${HERE}`, "mine"],
  "can-i": [5, `lacks the right to create ${TOKENS} ${HERE}`],
  owner: [1, `lacks the right to list ${TOKENS} ${EVERYWHERE}`, "alice"],
  offboard: [1, `lacks the right to list ${TOKENS} ${EVERYWHERE}`, "alice", "--yes"],
  review: [1, `lacks the right to list ${TOKENS} ${HERE}`],
  check: [0, `you lack the right to list apitokenpolicies.apitoken.dev ${EVERYWHERE}`],
  doctor: [1, "you need the right to list deployments"],
  report: [0, `you lack the right to list ${TOKENS} ${EVERYWHERE}`],
  explain: [0, "Issued", "Issued"],
  completion: [0, "#!/bin/sh"],
  version: [0, "You lack the right to list deployments"],
};

test("every command is listed here", () => {
  expect(Object.keys(CASES).sort()).toEqual(kubectlCommand.commands?.map(({ name }) => name).sort());
});

test.for(Object.entries(CASES))("%s", async ([command, [code, says, ...args]], { cluster, plugin }) => {
  // What asks no cluster takes no user.
  const isOffline = command === "explain" || command === "completion";
  const result = isOffline
    ? await plugin.kubectl("apitoken", command, ...args)
    : await plugin.runAs("nobody@example.com", command, ...args);
  expect(result.stdout + result.stderr).toContain(says.replace("NAMESPACE", cluster.namespace));
  expect(result.code).toBe(code);
});
