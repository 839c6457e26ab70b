/*
 * Which cluster, as which user: the kubeconfig, read as kubectl reads it. It holds credentials, so no error quotes it.
 */
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { Fault } from "../runtime/fault.ts";

/** What to take of which kubeconfig; kubectl's flags of the same names. */
export interface KubeconfigChoice {
  /** A kubeconfig file; without it, the one that kubectl would use, or the pod's service account. */
  readonly path?: string | undefined;
  /** The context; without it, the current one. */
  readonly context?: string | undefined;
  /** The user to act as (impersonation). */
  readonly impersonate?: string | undefined;
}

const FAULT = { faultCode: "APITOKEN_E_KUBECONFIG_INVALID" } as const;

/** Reads a kubeconfig. Throws a Fault that never quotes the file. */
export function loadKubeConfig(choice: KubeconfigChoice = {}): KubeConfig {
  const config = readKubeConfig(choice.path);
  const currentContext = choice.context ?? config.getCurrentContext();
  if (choice.context !== undefined && config.getContextObject(choice.context) === null) {
    throw new Fault({
      ...FAULT,
      object: "the kubeconfig",
      problem: `it has no context ${JSON.stringify(choice.context)}`,
      remedy: '"kubectl config get-contexts" lists those that it has',
    });
  }
  config.setCurrentContext(currentContext);
  if (config.getCurrentCluster() === null) {
    throw new Fault({
      ...FAULT,
      object: "the kubeconfig",
      problem: "it names no cluster",
      remedy: "set its current-context to a context whose cluster is in it",
    });
  }
  const clusters = config.getClusters();
  const { impersonate } = choice;
  config.loadFromOptions({
    // The client refuses http:// unless verification of TLS is off; without TLS there is nothing to verify.
    clusters: clusters.map((cluster) => ({
      ...cluster,
      skipTLSVerify: cluster.skipTLSVerify || cluster.server.startsWith("http:"),
    })),
    users: config.getUsers().map((user) => ({
      ...user,
      ...(user.exec ? { exec: withExecInfo(user.exec, config.getCurrentCluster()) } : {}),
      ...(impersonate === undefined ? {} : { impersonateUser: impersonate }),
    })),
    contexts: config.getContexts(),
    currentContext,
  });
  return config;
}

function readKubeConfig(path: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (path === undefined) config.loadFromDefault();
    else config.loadFromFile(path);
  } catch (error) {
    const object = `the kubeconfig ${path ?? process.env.KUBECONFIG ?? "~/.kube/config"}`;
    if (error instanceof Error && "syscall" in error) {
      throw new Fault({ ...FAULT, object, problem: "it cannot be read" }, { cause: error });
    }
    throw new Fault({ ...FAULT, object, problem: "it is malformed", remedy: '"kubectl config view" shows where' });
  }
  return config;
}

/** The parts of a credentials plugin's declaration that are read here. */
interface ExecPlugin {
  readonly apiVersion?: string;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
  readonly provideClusterInfo?: boolean;
}

/**
 * The client starts a credentials plugin without KUBERNETES_EXEC_INFO, by which kubectl says which version of the
 * protocol it speaks and for which cluster the credentials are. Some plugins do not work without it.
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats
 */
function withExecInfo(exec: ExecPlugin, cluster: ReturnType<KubeConfig["getCurrentCluster"]>): ExecPlugin {
  const info = {
    apiVersion: exec.apiVersion ?? "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    spec: {
      interactive: false,
      ...(exec.provideClusterInfo && cluster !== null
        ? {
            cluster: {
              server: cluster.server,
              ...(cluster.caData ? { "certificate-authority-data": cluster.caData } : {}),
              ...(cluster.tlsServerName ? { "tls-server-name": cluster.tlsServerName } : {}),
              ...(cluster.skipTLSVerify ? { "insecure-skip-tls-verify": true } : {}),
              ...(cluster.proxyUrl ? { "proxy-url": cluster.proxyUrl } : {}),
            },
          }
        : {}),
    },
  };
  return { ...exec, env: [...(exec.env ?? []), { name: "KUBERNETES_EXEC_INFO", value: JSON.stringify(info) }] };
}

/** Where a kubeconfig leads, for people. */
export interface KubeconfigTarget {
  readonly context: string;
  readonly server: string;
  /** The context's namespace, or "default". */
  readonly namespace: string;
}

/** Where this kubeconfig leads. Throws like `loadKubeConfig`. */
export function findTarget(choice: KubeconfigChoice): KubeconfigTarget {
  const config = loadKubeConfig(choice);
  const context = config.getCurrentContext();
  return {
    context,
    server: config.getCurrentCluster()?.server ?? "",
    namespace: config.getContextObject(context)?.namespace || "default",
  };
}
