/*
 * Packs the plugin, after "npm run build": the npm package, an archive for each single executable, and the krew manifest that
 * points to the archives.
 *
 *   node packaging/kubectl/pack.mjs dist FOLDER DOWNLOAD_URL [linux-amd64=EXECUTABLE ...]
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const { version, license } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const EXECUTABLES = ["kubectl-apitoken", "kubectl_complete-apitoken"];
const SUMMARY = "Create, inspect, rotate and revoke API tokens";

const [, , bundles, folder, downloadUrl, ...executables] = process.argv;
if (bundles === undefined || folder === undefined || downloadUrl === undefined) {
  process.stderr.write("usage: pack.mjs BUNDLES FOLDER DOWNLOAD_URL [OS-ARCH=EXECUTABLE ...]\n");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
writeNpmPackage(join(folder, "npm"));
const platforms = executables.map((text) => {
  const [platform, path] = text.split("=");
  return archive(platform, path);
});
if (platforms.length > 0) writeFileSync(join(folder, "apitoken.yaml"), stringify(describeForKrew(platforms)));

/** The npm package: both executables, each one file without dependencies. */
function writeNpmPackage(target) {
  mkdirSync(target, { recursive: true });
  for (const name of EXECUTABLES) {
    copyFileSync(join(bundles, `${name}.cjs`), join(target, `${name}.cjs`));
    chmodSync(join(target, `${name}.cjs`), 0o755);
  }
  copyFileSync(join(ROOT, "LICENSE"), join(target, "LICENSE"));
  copyFileSync(join(ROOT, "packaging/kubectl/README.md"), join(target, "README.md"));
  const manifest = {
    name: "kubectl-apitoken",
    version,
    description: `${SUMMARY} (a plugin of kubectl)`,
    license,
    type: "commonjs",
    engines: { node: ">=24" },
    bin: Object.fromEntries(EXECUTABLES.map((name) => [name, `${name}.cjs`])),
    files: EXECUTABLES.map((name) => `${name}.cjs`),
  };
  writeFileSync(join(target, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** An archive with a single executable, and what krew has to know of it. */
function archive(platform, executable) {
  const [os, arch] = platform.split("-");
  const name = os === "windows" ? "kubectl-apitoken.exe" : "kubectl-apitoken";
  const file = `kubectl-apitoken-v${version}-${platform}.tar.gz`;
  const staging = mkdtempSync(join(tmpdir(), "kubectl-apitoken-"));
  copyFileSync(executable, join(staging, name));
  chmodSync(join(staging, name), 0o755);
  copyFileSync(join(ROOT, "LICENSE"), join(staging, "LICENSE"));
  execFileSync("tar", ["-czf", join(folder, file), "-C", staging, name, "LICENSE"]);
  rmSync(staging, { recursive: true });
  const sha256 = createHash("sha256")
    .update(readFileSync(join(folder, file)))
    .digest("hex");
  const files = [name, "LICENSE"].map((from) => ({ from, to: "." }));
  return { selector: { matchLabels: { os, arch } }, uri: `${downloadUrl}/${file}`, sha256, bin: name, files };
}

/** https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/ */
function describeForKrew(platforms) {
  return {
    apiVersion: "krew.googlecontainertools.github.com/v1alpha2",
    kind: "Plugin",
    metadata: { name: "apitoken" },
    spec: {
      version: `v${version}`,
      homepage: downloadUrl.replace(/\/releases\/download\/.*$/, ""),
      shortDescription: SUMMARY,
      description:
        "Shows how the ApiTokens of a cluster are and why, creates, rotates and revokes them, offboards owners, and checks\nthe operator. It uses the Kubernetes API alone, with your own rights.\n",
      platforms,
    },
  };
}
