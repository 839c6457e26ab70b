export interface LeakTools {
  readonly gitleaks: string;
  readonly kingfisher: string;
  readonly detectSecrets: string;
  readonly python: string;
}

export function leakToolFolders(environment?: NodeJS.ProcessEnv): Omit<LeakTools, "python">;

export function findLeakTools(environment?: NodeJS.ProcessEnv): LeakTools | undefined;

export function provideLeakTools(sources?: {
  environment?: NodeJS.ProcessEnv;
  build?: (folder: string) => Promise<void>;
  install?: (what: string, requirements: URL, folder: string) => Promise<void>;
}): Promise<void>;
