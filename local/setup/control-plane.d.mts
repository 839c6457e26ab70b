type Fill = (folder: string) => Promise<void>;

export function provideControlPlane(sources?: {
  environment?: NodeJS.ProcessEnv;
  download?: Fill;
  build?: Fill;
}): Promise<string>;

export function fillFolder(
  folder: string,
  fill: Fill,
  wanted?: { isComplete: (folder: string) => unknown; parts?: string },
): Promise<void>;

export function findRelease(index: string, platform: string): { url: string; sha512: string };
