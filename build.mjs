/* Bundles each program into one file: dist/{controller,cleanup,migrate}.js, with the migrations beside them. */
import { cpSync, rmSync } from "node:fs";
import { build } from "esbuild";

rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: {
    controller: "src/controller/main.ts",
    cleanup: "src/cleanup/main.ts",
    migrate: "src/migrate.ts",
    "bcrypt-worker": "src/runtime/bcrypt-worker.ts",
  },
  outdir: "dist",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node24",
  external: ["pg-native"],
  minifySyntax: true,
  legalComments: "none",
  // Some dependencies are CommonJS and call require, which an ES module lacks.
  banner: {
    js: 'import { createRequire as createBundleRequire } from "node:module"; const require = createBundleRequire(import.meta.url);',
  },
  logLevel: "warning",
});
cpSync("migrations", "dist/migrations", { recursive: true });
