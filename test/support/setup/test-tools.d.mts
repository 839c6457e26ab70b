/** The path of a program that tests ask; undefined when the set-up could not provide it. */
export function findTool(name: "promtool", environment?: NodeJS.ProcessEnv): string | undefined;

export function provideTools(options?: {
  environment?: NodeJS.ProcessEnv;
  build?: (folder: string, name: string) => Promise<void>;
}): Promise<void>;
