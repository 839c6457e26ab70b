/*
 * Bundles each program into one file: dist/{controller,cleanup,migrate,verifier,kubectl-apitoken}.js, with the migrations beside
 * them, and what each is made of in metafile.json. An argument names another folder than dist.
 */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

/**
 * Of the client library only the reader of kubeconfigs is used. It imports the classes of all Kubernetes APIs for a
 * method that nobody calls, and they would be half of what the controller's code takes of memory.
 */
const withoutGeneratedClient = {
  name: "without-generated-client",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/gen\/index\.js$/ }, ({ importer }) =>
      importer.endsWith("client-node/dist/config.js") ? { path: "generated-client", namespace: "left-out" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "left-out" }, () => ({
      contents: `export class ServerConfiguration {}
        export function createConfiguration() { throw new Error("the generated client is not in this bundle"); }`,
    }));
  },
};

/** Errors are in English only: zod's other fifty languages would be a tenth of each program, read at every start. */
const withoutLocales = {
  name: "without-locales",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/locales\/index\.js$/ }, ({ importer }) =>
      /zod\/v4\/(core|classic)\/\w+\.js$/.test(importer) ? { path: "locales", namespace: "no-locales" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "no-locales" }, () => ({ contents: "export {};" }));
  },
};

const [, , folder = "dist"] = process.argv;
rmSync(folder, { recursive: true, force: true });
const { metafile } = await build({
  entryPoints: {
    controller: "src/controller/main.ts",
    cleanup: "src/cleanup/main.ts",
    migrate: "src/migrate/main.ts",
    verifier: "src/verifier/main.ts",
    "kubectl-apitoken": "src/kubectl/main.ts",
    "bcrypt-worker": "src/runtime/bcrypt-worker.ts",
  },
  outdir: folder,
  metafile: true,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node24",
  external: ["pg-native"],
  // The text of a bundle stays in memory. Names and lines are kept: they are what a stack trace shows.
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 160,
  legalComments: "none",
  // Some dependencies are CommonJS and call require, which an ES module lacks.
  banner: {
    js: 'import { createRequire as createBundleRequire } from "node:module"; const require = createBundleRequire(import.meta.url);',
  },
  plugins: [withoutGeneratedClient, withoutLocales],
  logLevel: "warning",
});
cpSync("migrations", `${folder}/migrations`, { recursive: true });
writeFileSync(`${folder}/metafile.json`, JSON.stringify(metafile));
