export interface KrewTools {
  readonly krew: string;
  readonly validator: string;
}
export function findKrewTools(environment?: NodeJS.ProcessEnv): KrewTools | undefined;
export function provideKrewTools(options?: {
  environment?: NodeJS.ProcessEnv;
  build?: (folder: string) => Promise<void>;
}): Promise<void>;
