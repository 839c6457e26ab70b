/*
 * The keyring's Secret as a file, as the kubelet mounts it for the verifier's pod: the tour has no kubelet.
 */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { KEYRING_KEY } from "../src/controller/keyring/secret.ts";
import { getSecret } from "../src/kube/resources/secret-api.ts";
import { createTransport } from "../src/kube/transport.ts";
import { pause } from "../src/runtime/signals.ts";

const EVERY_MS = 500;

/** Waits until there is a keyring, and then keeps the file like it until `stop`, which removes it. Throws if there is none within `limitMs`. */
export async function mountKeyring(
  kubeconfigPath: string,
  namespace: string,
  path: string,
  limitMs: number,
): Promise<{ stop(): Promise<void> }> {
  const transport = await createTransport({ userAgent: "tour", kubeconfigPath });
  const ending = new AbortController();
  const first = Promise.withResolvers<void>();
  let text: string | undefined;

  const copy = async () => {
    const secret = await getSecret(transport, namespace, "apitoken-keyring");
    const base64 = secret?.data?.[KEYRING_KEY];
    if (base64 === undefined) return;
    const next = Buffer.from(base64, "base64").toString();
    if (next !== text) write(path, next);
    text = next;
    first.resolve();
  };
  const follow = async () => {
    while (!ending.signal.aborted) {
      await copy().catch(() => {}); // the API server may be away for a moment: the file stays as it is, as a mounted one does
      await pause(EVERY_MS, ending.signal);
    }
  };
  const following = follow();
  const stop = async () => {
    ending.abort();
    await following;
    await transport.close();
    rmSync(path, { force: true });
  };
  const limit = setTimeout(() => first.reject(new Error("the controller has made no keyring")), limitMs);
  try {
    await first.promise;
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(limit);
  }
  return { stop };
}

/** Nobody else may read it, and no reader finds half of it. */
function write(path: string, text: string): void {
  writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}
