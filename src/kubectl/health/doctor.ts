/*
 * `doctor`: runs the controller's own doctor, which compares the cluster with the database. It is the one command that needs a
 * program in a pod, so it leaves the connection to kubectl.
 */
import { spawn } from "node:child_process";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { Fault } from "../../runtime/fault.ts";
import { withClient } from "../client/client.ts";
import { objectMissing } from "../client/faults.ts";
import { findDeployments } from "../client/operator.ts";
import type { ConnectionOptions } from "../client/options.ts";
import { note } from "../client/output.ts";

export type DoctorOptions = ConnectionOptions & { readonly fix: boolean; readonly output: "text" | "json" };

/** `kubectl apitoken doctor`; returns the exit code of the controller's doctor. */
export async function runDoctor(context: CommandContext<DoctorOptions>): Promise<number> {
  const place = await withClient(context, async (client) => {
    const deployments = (await findDeployments(client)) ?? [];
    const controllers = deployments.filter(({ component }) => component === "controller");
    const chosen =
      context.options.namespace === undefined
        ? controllers[0]
        : controllers.find(({ namespace }) => namespace === client.namespace);
    if (chosen === undefined) {
      throw objectMissing(
        "the controller's Deployment",
        "name its namespace with -n; you need the right to list deployments",
      );
    }
    return chosen;
  });
  const args = buildArgs(place, context.options);
  note(`Running the doctor in the controller's pod: kubectl ${args.join(" ")}`);
  return runKubectl(args, context.stop);
}

/** What kubectl is asked to do. */
export function buildArgs(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  { kubeconfig, context, as: user, fix, output }: DoctorOptions,
): string[] {
  return [
    ...(kubeconfig === undefined ? [] : ["--kubeconfig", kubeconfig]),
    ...(context === undefined ? [] : ["--context", context]),
    ...(user === undefined ? [] : ["--as", user]),
    ...["exec", "-n", namespace, `deployment/${name}`, "-c", "controller", "--"],
    ...["/usr/local/bin/node", "/app/controller.js", "doctor"],
    ...(fix ? ["--fix"] : []),
    ...(output === "json" ? ["-o", "json"] : []),
  ];
}

function runKubectl(args: readonly string[], stop: AbortSignal): Promise<number> {
  const child = spawn("kubectl", args, { stdio: "inherit", signal: stop });
  return new Promise((resolve, reject) => {
    child.on("exit", (code) => resolve(code ?? 1));
    child.on("error", (cause) =>
      reject(
        new Fault(
          {
            faultCode: "APITOKEN_E_OBJECT_MISSING",
            object: "kubectl",
            problem: "it cannot be started",
            remedy: "install it, and put it on the PATH",
          },
          { cause },
        ),
      ),
    );
  });
}
