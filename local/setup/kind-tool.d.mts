export function findKind(environment?: NodeJS.ProcessEnv): string | undefined;
export function provideKind(options?: {
  environment?: NodeJS.ProcessEnv;
  build?: (folder: string) => Promise<void>;
}): Promise<void>;
