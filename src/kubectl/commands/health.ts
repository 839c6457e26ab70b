/*
 * The commands about the operator itself.
 */
import { defineCommand } from "../../runtime/command/declare.ts";
import { CONNECTION_OPTIONS, outputOption } from "../client/options.ts";

export const checkCommand = defineCommand({
  name: "check",
  summary: "check the operator: CRDs, policies, controller, verifier, cleanup, database, tokens",
  description: `Prints a line for each part of the operator: ✓ is well, ! needs somebody some day, ✗ needs somebody now, with the
    runbook. It asks the API server alone. How the database is, it knows from what the resources' conditions say. Which right is
    missing for a line, the line says.`,
  argument: {
    name: "CATEGORY",
    help: "only this: crds, policies, controller, verifier, cleanup, database or tokens",
    isOptional: true,
  },
  options: {
    ...CONNECTION_OPTIONS,
    pre: { help: "check what an installation needs, before it" },
    output: outputOption(["text", "json", "yaml"]),
  },
  examples: ["kubectl apitoken check", "kubectl apitoken check --pre"],
  exitCodes: { differences: "something needs somebody now" },
  run: async (context) => (await import("../health/check.ts")).runCheck(context),
});

export const doctorCommand = defineCommand({
  name: "doctor",
  summary: "run the controller's doctor in its pod: it compares the cluster with the database",
  description: `Runs "controller doctor" in a pod of the controller, through kubectl exec, and says so. You need the right to create
    pods/exec there. No other command of the plugin does that.`,
  options: {
    ...CONNECTION_OPTIONS,
    fix: { help: "fix what can be fixed automatically" },
    output: outputOption(["text", "json"]),
  },
  exitCodes: { differences: "differences were found, or some are left" },
  run: async (context) => (await import("../health/doctor.ts")).runDoctor(context),
});

export const reportCommand = defineCommand({
  name: "report",
  summary: "print what somebody who helps needs to see, without secrets",
  description: `Prints versions, what check finds, policies, OwnerBlocks and the status of ApiTokens as one document. It has no Secret
    and no token. Names and owners are in it.`,
  options: { ...CONNECTION_OPTIONS, output: outputOption(["yaml", "json"]) },
  examples: ["kubectl apitoken report > report.yaml"],
  run: async (context) => (await import("../health/report.ts")).runReport(context),
});
