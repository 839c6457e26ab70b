/*
 * How every program is bundled, whatever becomes of the bundle: a file of its own, or a part of a single executable.
 */
import { pathToFileURL } from "node:url";

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

/**
 * Of undici only the client with its pools is used. Its index also loads fetch, WebSocket, caches and mocks, which would be a
 * quarter of the controller's code and stay in its memory.
 */
const withoutFetch = {
  name: "without-fetch",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^undici$/ }, () => ({ path: "client", namespace: "undici" }));
    onLoad({ filter: /.*/, namespace: "undici" }, () => ({
      contents: `const Dispatcher = require("undici/lib/dispatcher/dispatcher.js");
        Object.assign(Dispatcher.prototype, require("undici/lib/api/index.js"));
        exports.Agent = require("undici/lib/dispatcher/agent.js");
        exports.ProxyAgent = require("undici/lib/dispatcher/proxy-agent.js");`,
      resolveDir: import.meta.dirname,
    }));
  },
};

/**
 * An ES module that imports node:http reads all that it exports, WebSocket among them, and so loads Node's own fetch: megabytes
 * in each process. Whoever requires it loads only what is used.
 */
const withoutNodesFetch = {
  name: "without-nodes-fetch",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?http$/ }, () => ({ path: "http", namespace: "required" }));
    onLoad({ filter: /.*/, namespace: "required" }, () => ({
      contents: 'module.exports = process.getBuiltinModule("node:http");',
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

/** The plugin explains reasons without a cluster and without the project's documents: what they say is put into its file. */
const withDocuments = {
  name: "with-documents",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]src[\\/]kubectl[\\/]guide[\\/]entries\.ts$/ }, async ({ path }) => {
      const { ENTRIES } = await import(pathToFileURL(path));
      return { contents: `export const ENTRIES = ${JSON.stringify(ENTRIES)};` };
    });
  },
};

const OPTIONS = {
  bundle: true,
  platform: "node",
  target: "node24",
  external: ["pg-native"],
  // The text of a bundle stays in memory. Names and lines are kept: they are what a stack trace shows.
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 160,
  legalComments: "none",
  plugins: [withoutGeneratedClient, withoutFetch, withoutNodesFetch, withoutLocales, withDocuments],
  logLevel: "warning",
};

/** esbuild's options for a program that is an ES module. */
export const BUNDLE_OPTIONS = {
  ...OPTIONS,
  format: "esm",
  // Some dependencies are CommonJS and call require, which an ES module lacks.
  banner: {
    js: 'import { createRequire as createBundleRequire } from "node:module"; const require = createBundleRequire(import.meta.url);',
  },
};

/** esbuild's options for a program that is a CommonJS script. */
export const SCRIPT_OPTIONS = { ...OPTIONS, format: "cjs" };
