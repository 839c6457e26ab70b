/*
 * Decides what the e2e on kind does and what it is missing, without doing any of it, so that both can be tested on a
 * machine without docker.
 */
/** Which programs of those that the e2e on kind needs were found. */
export interface Found {
  /** "silent": docker is installed, but its daemon does not answer. */
  readonly docker: "missing" | "silent" | "ready";
  readonly kind: string | undefined;
  readonly kubectl: string | undefined;
  readonly helm: string | undefined;
}

const ELSEWHERE =
  "Without docker: npm run e2e -- --help (any cluster that KUBECONFIG names), npm run e2e:one-node -- --help";

/** Explains for each missing program what to do about it; empty if nothing is missing. */
export function explainMissing({ docker, kind, kubectl, helm }: Found): string[] {
  const faults = [
    docker === "missing" && "docker is not installed. Install it: https://docs.docker.com/engine/install/",
    docker === "silent" && "docker does not answer. Start its daemon, and check that you may use it: docker info",
    kind === undefined && "kind is not available. Install Go 1.26 or newer, or kind, or set KIND to its path",
    kubectl === undefined && "kubectl is not installed. Install it, or set KUBECTL to its path",
    helm === undefined && "helm is not available. Install Go 1.26 or newer, or helm, or set HELM to its path",
  ].filter((fault) => fault !== false);
  return docker === "ready" ? faults : [...faults, ELSEWHERE];
}

/** A program with its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** The commands to run in order. `remove` is run in any case. */
export interface KindPlan {
  readonly steps: readonly { readonly title: string; readonly command: Command }[];
  readonly remove: Command;
}

export interface KindSettings {
  readonly kind: string;
  /** The cluster's name. */
  readonly name: string;
  /** The file to which kind writes the credentials. */
  readonly kubeconfig: string;
  /** Node and the e2e's script. */
  readonly e2e: Command;
  /** The e2e's options. */
  readonly args: readonly string[];
}

/**
 * Plans the e2e on a new cluster with images that docker builds. First removes the cluster of a run that was killed.
 */
export function planKind({ kind, name, kubeconfig, e2e, args }: KindSettings): KindPlan {
  const cluster = ["--name", name, "--kubeconfig", kubeconfig];
  const remove: Command = [kind, "delete", "cluster", ...cluster];
  const load = `${quote(kind)} load image-archive {} --name ${name}`;
  return {
    steps: [
      { title: "remove the cluster of an earlier run", command: remove },
      { title: "create a cluster in docker", command: [kind, "create", "cluster", ...cluster, "--wait", "180s"] },
      { title: "the e2e", command: [...e2e, "--load", load, ...args] },
    ],
    remove,
  };
}

/** Quotes a text as one word of a shell's command line (POSIX, 2.2.2). */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
