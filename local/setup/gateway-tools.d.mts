export interface GatewayTools {
  readonly nginx?: string;
  readonly installedNginx?: string;
  readonly traefik?: string;
  readonly caddy?: string;
  readonly envoy?: string;
}

export interface PythonBackend {
  readonly python: string;
  readonly packages: string;
}

type Install = (what: string, requirements: URL, folder: string) => Promise<void>;

export function gatewayFolder(name: string, environment?: NodeJS.ProcessEnv): string;

export function findGatewayTools(environment?: NodeJS.ProcessEnv): GatewayTools;

export function findPythonBackend(environment?: NodeJS.ProcessEnv): PythonBackend | undefined;

export function findGatewayCrds(environment?: NodeJS.ProcessEnv): string | undefined;

export function provideGatewayTools(sources?: {
  environment?: NodeJS.ProcessEnv;
  install?: Install;
  download?: (folder: string) => Promise<void>;
}): Promise<void>;
