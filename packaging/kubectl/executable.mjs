/*
 * Makes one executable of Node and the plugin, for the platform that this runs on.
 * https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html
 *
 *   node packaging/kubectl/executable.mjs FILE
 */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { inject } from "postject";
import { SCRIPT_OPTIONS } from "../../bundle-options.mjs";

const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const [, , target] = process.argv;
if (target === undefined) {
  process.stderr.write("usage: executable.mjs FILE\n");
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "kubectl-apitoken-"));
const [script, config, blob] = ["plugin.cjs", "sea.json", "plugin.blob"].map((name) => join(folder, name));
await build({ ...SCRIPT_OPTIONS, entryPoints: [join(ROOT, "src/kubectl/main.ts")], outfile: script });
writeFileSync(config, JSON.stringify({ main: script, output: blob, disableExperimentalSEAWarning: true }));
execFileSync(process.execPath, ["--experimental-sea-config", config], { stdio: "inherit" });
copyFileSync(process.execPath, target);
chmodSync(target, 0o755);
const isMac = process.platform === "darwin";
// Its signature would no longer fit, and macOS runs nothing on arm64 without one.
if (isMac) execFileSync("codesign", ["--remove-signature", target]);
await inject(target, "NODE_SEA_BLOB", readFileSync(blob), {
  sentinelFuse: FUSE,
  ...(isMac ? { machoSegmentName: "NODE_SEA" } : {}),
});
if (isMac) execFileSync("codesign", ["--sign", "-", target]);
rmSync(folder, { recursive: true });
