/*
 * What the controller's own account may do, as the API server sees it.
 */
import { FULLNAME, RELEASE, SYSTEM, TENANT } from "./installation.ts";
import { getJson, kubectlWith, need, print, until } from "./programs.ts";

const OF_RELEASE = `app.kubernetes.io/instance=${RELEASE}`;
const MINTING = "kubernetes.io/service-account-token";

interface AdmissionPolicyView {
  readonly status?: {
    readonly observedGeneration?: number;
    readonly typeChecking?: { readonly expressionWarnings?: readonly object[] };
  };
}

/** Uses the account's own rights. Only a controller-manager checks the types of the expressions. */
export async function tryAccount(): Promise<void> {
  const checked = await until("the admission policy's types are checked", async () => {
    const { items } = await getJson<{ items: AdmissionPolicyView[] }>("validatingadmissionpolicies", "-l", OF_RELEASE);
    return items.length > 0 && items.every(({ status }) => status?.observedGeneration !== undefined) && items;
  });
  const warnings = checked.flatMap(({ status }) => status?.typeChecking?.expressionWarnings ?? []);
  need(warnings.length === 0, `the expressions have type errors: ${JSON.stringify(warnings)}`);
  const account = `--as=system:serviceaccount:${SYSTEM}:${FULLNAME}`;
  const annotations = { "kubernetes.io/service-account.name": "default" };
  const metadata = { name: "minted", namespace: TENANT, annotations, labels: { "apitoken.dev/managed": "true" } };
  const minted = JSON.stringify({ apiVersion: "v1", kind: "Secret", type: MINTING, metadata });
  const refusal = await kubectlWith(minted, "create", account, "-f", "-").catch((error: Error) => error.message);
  need(
    refusal.includes("the controller writes only Secrets of type Opaque"),
    `a Secret of type ${MINTING} was not refused: ${refusal}`,
  );
  print(`the controller's account cannot create a Secret of type ${MINTING}`);
}
