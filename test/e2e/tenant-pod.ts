/*
 * Programs of the e2e that run as a tenant's applications do: in a pod of the tenant's namespace, with nothing but what is
 * mounted into it. Each prints what it has seen as a line of JSON per second.
 */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { TENANT } from "./installation.ts";
import { kubectl, kubectlApply } from "./programs.ts";

/** A program in a pod. */
export interface TenantProgram {
  /** The pod's name, and its file's in this folder. */
  readonly name: string;
  /** An image with Node, such as the controller's. */
  readonly image: string;
  readonly env: Readonly<Record<string, string>>;
  /** The Secrets that are mounted, by the folder below /. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Where the program listens, and a Service with its name. If left out, it only asks others. */
  readonly port?: number;
}

/** Starts the program, together with other objects that it needs. */
export async function startTenantProgram(program: TenantProgram, objects: readonly object[] = []): Promise<void> {
  const { name, port } = program;
  const metadata = { name, namespace: TENANT };
  const code = { "program.mjs": await bundle(name) };
  await kubectlApply([
    ...objects,
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: code },
    { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, labels: { app: name } }, spec: describePod(program) },
    ...(port === undefined ? [] : [describeService(metadata, port)]),
  ]);
}

/** The program's latest report. */
export async function readReport<Report>(name: string): Promise<Report> {
  return JSON.parse(await kubectl("logs", name, "-n", TENANT, "--tail=1")) as Report;
}

/** Ends the program without waiting for that. */
export async function stopTenantProgram(name: string): Promise<void> {
  await kubectl("delete", "pod", name, "-n", TENANT, "--wait=false");
}

/** A Service for the pod of the same name. */
export function describeService(metadata: { readonly name: string; readonly namespace: string }, port: number): object {
  return { apiVersion: "v1", kind: "Service", metadata, spec: { selector: { app: metadata.name }, ports: [{ port }] } };
}

/** What Pod Security "restricted" asks of a pod. */
export const POD_SECURITY = {
  runAsNonRoot: true,
  runAsUser: 65532,
  fsGroup: 65532,
  seccompProfile: { type: "RuntimeDefault" },
};

/** What it asks of a container, and a root file system that nobody writes to. */
export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

function describePod({ name, image, env, secrets = {}, port }: TenantProgram): object {
  const folders = Object.entries(secrets);
  return {
    automountServiceAccountToken: false,
    securityContext: POD_SECURITY,
    containers: [
      {
        name,
        image,
        imagePullPolicy: "IfNotPresent",
        command: ["/usr/local/bin/node", "/program/program.mjs"],
        env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
        ...(port === undefined ? {} : { readinessProbe: { tcpSocket: { port }, periodSeconds: 1 } }),
        securityContext: CONTAINER_SECURITY,
        volumeMounts: ["program", ...folders.map(([folder]) => folder)].map((folder) => ({
          name: folder,
          mountPath: `/${folder}`,
          readOnly: true,
        })),
      },
    ],
    volumes: [
      { name: "program", configMap: { name } },
      ...folders.map(([folder, secretName]) => ({ name: folder, secret: { secretName, defaultMode: 0o440 } })),
    ],
  };
}

async function bundle(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`${name}.ts`, import.meta.url))],
    bundle: true,
    write: false,
    minify: true,
    platform: "node",
    format: "esm",
    external: ["pg-native"],
    banner: {
      js: 'import { createRequire as createBundleRequire } from "node:module"; const require = createBundleRequire(import.meta.url);',
    },
  });
  return outputFiles[0]?.text ?? "";
}
