/*
 * The control plane must be easy to get on any machine: envtest's archive is fast but needs the internet, building from
 * Go modules is slow but needs only a Go proxy. Each source is tried in turn, and every failure is explained at the
 * end.
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { controlPlaneFolder, KUBERNETES_VERSION, REQUIRED, readAssets, TOOLS_FOLDER } from "./assets.mjs";
import { buildWithGo } from "./go-build.mjs";
import { print, run, startProgress } from "./progress.mjs";

const INDEX_URL = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml";
const INDEX_TIMEOUT_MS = 5_000;
const ARCHIVE_TIMEOUT_MS = 10 * 60_000;
const LEFTOVER_MS = 24 * 3_600_000;

const CONTROL_PLANE = { isComplete: readAssets, parts: REQUIRED.join(", ") };

/**
 * Gets the control plane's programs from the first source that works, and prints why earlier ones did not. Throws an
 * Error with all reasons and remedies if none works. @param {{environment?: object, download?: Function, build?:
 * Function}} sources, which tests replace
 */
export async function provideControlPlane({
  environment = process.env,
  download = downloadArchive,
  build = buildFromModules,
} = {}) {
  const given = environment.KUBEBUILDER_ASSETS;
  if (given) {
    if (readAssets(given)) return given;
    print(`KUBEBUILDER_ASSETS is ${given}, but that folder lacks one of ${REQUIRED.join(", ")}; continuing without it`);
  }
  const folder = controlPlaneFolder(environment);
  if (readAssets(folder)) return folder;

  const reasons = [];
  for (const [name, get] of [
    ["the envtest archive", download],
    ["go build", build],
  ]) {
    try {
      await fillFolder(folder, get);
      return folder;
    } catch (error) {
      reasons.push(`${name}: ${error.message}`);
      print(`${name} failed: ${error.message.split("\n")[0]}`);
    }
  }
  throw new Error(
    `could not get a control plane (${KUBERNETES_VERSION}).\n${reasons.map((reason) => `  - ${reason}`).join("\n")}\n` +
      "Do one of these:\n" +
      "  - install Go 1.26 or newer (https://go.dev/dl/), so that it can be built from the Go module proxy, or\n" +
      "  - set KUBEBUILDER_ASSETS to a folder with kube-apiserver, etcd and kubectl, such as the one that\n" +
      '    "go run sigs.k8s.io/controller-runtime/tools/setup-envtest@latest use 1.36 -p path" prints',
  );
}

/**
 * Fills a temporary folder next to the wanted one and renames it, so that nobody ever sees an incomplete folder. Throws
 * an Error if something is missing in it.
 * @param {{isComplete: (folder: string) => unknown, parts?: string}} wanted whether a folder has everything that it
 * should have, and what that is
 */
export async function fillFolder(folder, fill, { isComplete, parts = "its programs" } = CONTROL_PLANE) {
  mkdirSync(dirname(folder), { recursive: true });
  removeLeftovers(folder);
  const temporary = mkdtempSync(`${folder}.tmp-`);
  try {
    await fill(temporary);
    if (!isComplete(temporary)) throw new Error(`one of ${parts} is missing from it`);
    if (isComplete(folder)) return; // another set-up was faster
    rmSync(folder, { recursive: true, force: true });
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Removes what killed set-ups have left behind. More recent folders may belong to one that is still running. */
function removeLeftovers(folder) {
  for (const name of readdirSync(dirname(folder))) {
    const path = join(dirname(folder), name);
    const isLeftover = name.startsWith(`${basename(folder)}.tmp-`) && Date.now() - statSync(path).mtimeMs > LEFTOVER_MS;
    if (isLeftover) rmSync(path, { recursive: true, force: true });
  }
}

/** Downloads envtest's release for this platform and checks it against the SHA-512 in the index. */
async function downloadArchive(folder) {
  const platform = `${process.platform}-${process.arch === "x64" ? "amd64" : process.arch}`;
  const index = await (await get(INDEX_URL, INDEX_TIMEOUT_MS)).text();
  const { url, sha512 } = findRelease(index, platform);
  const progress = startProgress(`downloading ${url.split("/").at(-1)}`);
  try {
    const archive = Buffer.from(await (await get(url, ARCHIVE_TIMEOUT_MS)).arrayBuffer());
    const found = createHash("sha512").update(archive).digest("hex");
    if (found !== sha512) throw new Error(`the archive's SHA-512 is ${found}, but the index says ${sha512}`);
    const path = join(folder, "archive.tar.gz");
    writeFileSync(path, archive);
    await run("tar", ["-xzf", path, "-C", folder, "--strip-components=2"]);
    rmSync(path);
    progress.end("done");
  } catch (error) {
    progress.end("failed");
    throw error;
  }
}

/**
 * Finds the newest release of our Kubernetes minor version. The index is YAML, matched by pattern to avoid a parser.
 */
export function findRelease(index, platform) {
  const minor = KUBERNETES_VERSION.split(".").slice(0, 2).join(".").replaceAll(".", "\\.");
  const pattern = new RegExp(
    `envtest-${minor}\\.(\\d+)-${platform}\\.tar\\.gz:\\s+hash: ([0-9a-f]{128})\\s+selfLink: (https://\\S+)`,
    "g",
  );
  const releases = [...index.matchAll(pattern)].sort((a, b) => Number(b[1]) - Number(a[1]));
  if (releases.length === 0)
    throw new Error(`the index has no release of ${KUBERNETES_VERSION}'s minor for ${platform}`);
  return { url: releases[0][3], sha512: releases[0][2] };
}

async function get(url, timeoutMs) {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) }).catch((error) => {
    throw new Error(`${new URL(url).host} cannot be reached (${error.cause?.code ?? error.name})`);
  });
  if (!response.ok) throw new Error(`${url} answered with status ${response.status}`);
  return response;
}

/** Builds the programs from the Go module proxy, which takes minutes the first time. */
async function buildFromModules(folder) {
  const [, minor] = KUBERNETES_VERSION.split(".");
  const version = "k8s.io/component-base/version";
  // Without these the API server reports itself as v0.0.0-master, which breaks its feature gates.
  const stamp = `-X ${version}.gitVersion=${KUBERNETES_VERSION} -X ${version}.gitMajor=1 -X ${version}.gitMinor=${minor}`;
  const commands = ["kube-apiserver", "kube-controller-manager", "kubectl"].map(
    (name) => `k8s.io/kubernetes/cmd/${name}`,
  );
  await buildWithGo(`Kubernetes ${KUBERNETES_VERSION} and etcd from their Go modules (minutes, once)`, TOOLS_FOLDER, [
    { output: `${folder}/`, commands, stamp },
    { output: join(folder, "etcd"), commands: ["go.etcd.io/etcd/server/v3"], stamp },
  ]);
}
