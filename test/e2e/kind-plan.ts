/** What was found of the programs that the e2e on kind needs. */
export interface Found {
  /** "silent": there is a docker, and no daemon that answers it. */
  readonly docker: "missing" | "silent" | "ready";
  readonly kind: string | undefined;
  readonly kubectl: string | undefined;
  readonly helm: string | undefined;
}

const ELSEWHERE =
  "Without docker: npm run e2e -- --help (any cluster that KUBECONFIG names), npm run e2e:one-node -- --help";

/** Says of each thing that is missing what to do about it; nothing when all is there. */
export function explainMissing({ docker, kind, kubectl, helm }: Found): string[] {
  const faults = [
    docker === "missing" && "docker is not installed. Install it: https://docs.docker.com/engine/install/",
    docker === "silent" && "docker does not answer. Start its daemon, and see that you may use it: docker info",
    kind === undefined && "kind could not be had. Install Go 1.26 or newer, or kind, or have KIND name it",
    kubectl === undefined && "kubectl is not installed. Install it, or have KUBECTL name it",
    helm === undefined && "helm could not be had. Install Go 1.26 or newer, or helm, or have HELM name it",
  ].filter((fault) => fault !== false);
  return docker === "ready" ? faults : [...faults, ELSEWHERE];
}

/** A program with its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** What is run one after the other, `remove` in any case. */
export interface KindPlan {
  readonly steps: readonly { readonly title: string; readonly command: Command }[];
  readonly remove: Command;
}

export interface KindSettings {
  readonly kind: string;
  /** The cluster's name. */
  readonly name: string;
  /** The file that kind writes the credentials to. */
  readonly kubeconfig: string;
  /** Node, and the e2e's program. */
  readonly e2e: Command;
  /** Options for it. */
  readonly args: readonly string[];
}

/** Makes a cluster, and runs the e2e on it with images that docker builds. A cluster of a run that was killed goes first. */
export function planKind({ kind, name, kubeconfig, e2e, args }: KindSettings): KindPlan {
  const cluster = ["--name", name, "--kubeconfig", kubeconfig];
  const remove: Command = [kind, "delete", "cluster", ...cluster];
  const load = `${quote(kind)} load image-archive {} --name ${name}`;
  return {
    steps: [
      { title: "no cluster is left of an earlier run", command: remove },
      { title: "a cluster in docker", command: [kind, "create", "cluster", ...cluster, "--wait", "180s"] },
      { title: "the e2e", command: [...e2e, "--load", load, ...args] },
    ],
    remove,
  };
}

/** As one word of a shell's command line (POSIX, 2.2.2). */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
