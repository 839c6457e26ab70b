export interface GitOpsTools {
  readonly kstatus: string;
  readonly fluxHealth: string;
  readonly argoLua: string;
  readonly kubeStateMetrics: string;
  readonly crds: string;
  readonly backstage: string;
}

export function gitOpsToolsFolder(environment?: NodeJS.ProcessEnv): string;

export function ecosystemCrdsFolder(environment?: NodeJS.ProcessEnv): string;

export function backstageFolder(environment?: NodeJS.ProcessEnv): string;

export function findGitOpsTools(environment?: NodeJS.ProcessEnv): GitOpsTools | undefined;

export function provideGitOpsTools(sources?: {
  environment?: NodeJS.ProcessEnv;
  build?: (folder: string) => Promise<void>;
  download?: (folder: string) => Promise<void>;
  install?: (folder: string) => Promise<void>;
}): Promise<void>;
