/*
 * Bundles each program into one file: dist/{controller,cleanup,migrate,verifier}.js, and dist/kubectl-apitoken.cjs with the plugin and
 * dist/kubectl_complete-apitoken.cjs with its completion. The migrations are beside them, and what each is made of is in metafile.json.
 * An argument names another folder than dist.
 */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";
import { BUNDLE_OPTIONS, SCRIPT_OPTIONS } from "./bundle-options.mjs";

const [, , folder = "dist"] = process.argv;
rmSync(folder, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: {
    controller: "src/controller/main.ts",
    cleanup: "src/cleanup/main.ts",
    migrate: "src/migrate/main.ts",
    verifier: "src/verifier/main.ts",
    "bcrypt-worker": "src/runtime/bcrypt-worker.ts",
  },
  outdir: folder,
  metafile: true,
  ...BUNDLE_OPTIONS,
});
/*
 * People wait for the plugin at each start. An ES module loads what it imports of Node first, whether it is used or not, and
 * node:http alone doubles the time. A CommonJS script loads what a command needs.
 */
const plugin = await build({
  entryPoints: {
    "kubectl-apitoken": "src/kubectl/main.ts",
    "kubectl_complete-apitoken": "src/kubectl/complete.ts",
  },
  outdir: folder,
  // Node takes a .js file for what the next package.json says, and ours says ES module.
  outExtension: { ".js": ".cjs" },
  metafile: true,
  ...SCRIPT_OPTIONS,
});
metafile.outputs = { ...metafile.outputs, ...plugin.metafile.outputs };
cpSync("migrations", `${folder}/migrations`, { recursive: true });
writeFileSync(`${folder}/metafile.json`, JSON.stringify(metafile));
