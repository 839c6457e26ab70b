export function findPromtool(environment?: NodeJS.ProcessEnv): string | undefined;
export function provideAlertTools(options?: {
  environment?: NodeJS.ProcessEnv;
  build?: (folder: string) => Promise<void>;
}): Promise<void>;
