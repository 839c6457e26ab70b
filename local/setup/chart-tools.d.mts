export interface ChartTools {
  readonly helm?: string;
  readonly kubeconform?: string;
  readonly monitoringCrds?: string;
  readonly oldestApi?: string;
  readonly checkov?: { readonly command: string; readonly args: readonly string[] };
}

type Fill = (folder: string) => Promise<void>;

export function goToolsFolder(environment?: NodeJS.ProcessEnv): string;

export function monitoringCrdsFolder(environment?: NodeJS.ProcessEnv): string;

export function oldestApiFolder(environment?: NodeJS.ProcessEnv): string;

export function checkovFolder(environment?: NodeJS.ProcessEnv): string;

export function findChartTools(environment?: NodeJS.ProcessEnv): ChartTools;

export function provideChartTools(sources?: {
  environment?: NodeJS.ProcessEnv;
  build?: Fill;
  download?: Fill;
  downloadApi?: Fill;
  install?: Fill;
  isForE2e?: boolean;
}): Promise<void>;
