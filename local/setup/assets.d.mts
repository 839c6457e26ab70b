export interface Assets {
  readonly "kube-apiserver": string;
  readonly etcd: string;
  readonly kubectl: string;
  readonly "kube-controller-manager"?: string;
}

export function controlPlaneFolder(environment?: NodeJS.ProcessEnv): string;

export function readAssets(folder: string): Assets | undefined;

export function findAssets(environment?: NodeJS.ProcessEnv): Assets;

export function findOnPath(name: string, environment?: NodeJS.ProcessEnv): string | undefined;
