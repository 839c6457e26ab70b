export interface SpringBackend {
  readonly java: string;
  readonly jar: string;
}

export function springBackendFolder(environment?: NodeJS.ProcessEnv): string;

export function findSpringBackend(environment?: NodeJS.ProcessEnv): SpringBackend | undefined;

export function provideSpringBackend(sources?: {
  environment?: NodeJS.ProcessEnv;
  build?: (folder: string) => Promise<void>;
}): Promise<void>;
