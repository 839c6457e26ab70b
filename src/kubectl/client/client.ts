/*
 * The connection of a command to the API server. Every call has a limit, so that a command never hangs, and every failure
 * leaves here as a fault that names its cause.
 */
import { findTarget } from "../../kube/kubeconfig.ts";
import { createTransport, type KubeTransport } from "../../kube/transport.ts";
import type { CommandContext } from "../../runtime/command/declare.ts";
import { VERSION } from "../../runtime/version.ts";
import { type Caller, explainFailure } from "./faults.ts";
import type { ConnectionOptions } from "./options.ts";

/** What a command works with. */
export interface Client extends Caller {
  readonly transport: KubeTransport;
  /** The namespace that was asked for, or the context's. */
  readonly namespace: string;
  /** Aborted when the user stops the command. */
  readonly stop: AbortSignal;
}

/** Connects, does the work, and disconnects. Whatever fails is thrown as a Fault for people. */
export async function withClient<T>(
  { options, stop }: Pick<CommandContext<ConnectionOptions>, "options" | "stop">,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { kubeconfig, context, as: impersonate, "request-timeout": timeoutMs } = options;
  const target = findTarget({ path: kubeconfig, context });
  const transport = await createTransport({
    userAgent: `kubectl-apitoken/${VERSION}`,
    kubeconfigPath: kubeconfig,
    context,
    impersonate,
    requestTimeoutMs: timeoutMs,
    maxConnections: 8,
    isCompressed: true,
  });
  const client = {
    transport: stopWith(transport, stop),
    target,
    namespace: options.namespace ?? target.namespace,
    timeoutMs,
    stop,
  };
  try {
    return await work(client);
  } catch (error) {
    if (stop.aborted) throw stop.reason;
    throw explainFailure(error, client);
  } finally {
    await transport.close();
  }
}

/** Calls end when the user stops the command. */
function stopWith(transport: KubeTransport, stop: AbortSignal): KubeTransport {
  return {
    ...transport,
    request: (method, path, options = {}) => transport.request(method, path, { signal: stop, ...options }),
  };
}
