/*
 * A real gateway in a namespace of its own, as companies have one: nginx with the example of docs/verifier.md, in which only the
 * addresses are replaced.
 */
import { readFileSync } from "node:fs";
import { FULLNAME, GATEWAYS, SYSTEM, TENANT } from "./installation.ts";
import { kubectl, kubectlApply, need } from "./programs.ts";
import { CONTAINER_SECURITY, describeService, POD_SECURITY } from "./tenant-pod.ts";

const EXAMPLE = new URL("../../examples/verifier/nginx.conf", import.meta.url);
const PORT = 80;
const metadata = { name: "gateway", namespace: GATEWAYS };

/** Where the applications' clients reach the gateway. */
export const GATEWAY_URL = `http://${metadata.name}.${GATEWAYS}.svc`;

/** Starts the gateway; resolves when it is ready. The Services of the verifier and of the application must exist. */
export async function startGateway(image: string): Promise<void> {
  await kubectlApply([
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "nginx.conf": readExample() } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...metadata, labels: { app: metadata.name } },
      spec: describePod(image),
    },
    describeService(metadata, PORT),
  ]);
  await kubectl("wait", `pod/${metadata.name}`, "-n", GATEWAYS, "--for=condition=Ready", "--timeout=120s");
}

/** The example, with the addresses that these have from another namespace. */
function readExample(): string {
  const addresses = {
    "apitoken-verifier:8181": `${FULLNAME}-verifier.${SYSTEM}.svc:8181`,
    "app:8080": `app.${TENANT}.svc:8080`,
  };
  return Object.entries(addresses).reduce(
    (text, [from, to]) => {
      need(text.includes(`server ${from};`), `examples/verifier/nginx.conf does not name ${from}`);
      return text.replace(`server ${from};`, `server ${to};`);
    },
    readFileSync(EXAMPLE, "utf8"),
  );
}

function describePod(image: string): object {
  // The example listens on port 80, and the user is not root.
  const sysctls = [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }];
  return {
    automountServiceAccountToken: false,
    securityContext: { ...POD_SECURITY, sysctls },
    containers: [
      {
        name: "nginx",
        image,
        imagePullPolicy: "IfNotPresent",
        readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
        securityContext: CONTAINER_SECURITY,
        volumeMounts: [
          { name: "configuration", mountPath: "/etc/nginx/nginx.conf", subPath: "nginx.conf", readOnly: true },
          { name: "tmp", mountPath: "/tmp" },
          { name: "bodies", mountPath: "/var/lib/nginx" },
        ],
      },
    ],
    volumes: [
      { name: "configuration", configMap: { name: metadata.name } },
      { name: "tmp", emptyDir: {} },
      { name: "bodies", emptyDir: {} },
    ],
  };
}
