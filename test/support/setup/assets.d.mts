export interface Assets {
  readonly "kube-apiserver": string;
  readonly etcd: string;
  readonly kubectl: string;
  readonly "kube-controller-manager"?: string;
}

export function findAssets(environment?: NodeJS.ProcessEnv): Assets;
