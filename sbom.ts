#!/usr/bin/env node
/*
 * Prints what an image is made of, as CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/): the npm packages of which code
 * is in its bundle, as "npm sbom" describes them, and Node. After "npm run build"; npm run --silent sbom -- controller
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** The bundles in each image: see the Dockerfile. */
export const BUNDLES = {
  controller: ["controller.js", "bcrypt-worker.js", "kubectl-apitoken.cjs"],
  cleanup: ["cleanup.js"],
  migrate: ["migrate.js"],
  verifier: ["verifier.js", "bcrypt-worker.js"],
} as const;

export type Target = keyof typeof BUNDLES;

/** esbuild's account of what it has bundled. */
export interface Metafile {
  readonly outputs: Readonly<Record<string, { inputs: Readonly<Record<string, { bytesInOutput: number }>> }>>;
}

interface Component {
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
}

interface Dependency {
  readonly ref: string;
  readonly dependsOn?: readonly string[];
}

export interface Sbom {
  readonly metadata: { readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly Dependency[];
}

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

/** The packages of which something is in the image's bundles, as "name@version". */
function listPackages(metafile: Metafile, target: Target): Set<string> {
  const packages = new Set<string>();
  for (const bundle of BUNDLES[target]) {
    const output = Object.entries(metafile.outputs).find(([path]) => path.endsWith(`/${bundle}`))?.[1];
    if (output === undefined) throw new Error(`the build has no ${bundle}; run "npm run build"`);
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
      if (folder === undefined || bytesInOutput === 0) continue;
      const { name, version } = JSON.parse(read(`${folder}/package.json`)) as Component;
      packages.add(`${name}@${version}`);
    }
  }
  return packages;
}

/** The Node that the Dockerfile's image is built from. */
function describeNode(): Component & object {
  const version = /^FROM node:([\d.]+)/m.exec(read("Dockerfile"))?.[1];
  if (version === undefined) throw new Error("the Dockerfile names no version of Node");
  const purl = `pkg:generic/node@${version}`;
  return { "bom-ref": `node@${version}`, type: "application", name: "node", version, purl } as Component;
}

/**
 * Leaves of what npm says of all packages those that are in one image. Without time and serial number: the same
 * sources give the same text. Throws when npm does not know a package that is in the bundle.
 */
export function describeImage(target: Target, metafile: Metafile, ofNpm: Sbom): Sbom {
  const packages = listPackages(metafile, target);
  const node = describeNode();
  const components = ofNpm.components.filter((component) => packages.has(component["bom-ref"]));
  const known = new Set(components.map((component) => component["bom-ref"]));
  const unknown = [...packages].filter((each) => !known.has(each));
  if (unknown.length > 0) throw new Error(`not in the lockfile: ${unknown.join(", ")}`);
  const { "bom-ref": npmRef, ...component } = ofNpm.metadata.component;
  const name = `apitoken-operator-${target}`;
  const root = `${name}@${component.version}`;
  const dependencies = ofNpm.dependencies
    .filter(({ ref }) => ref === npmRef || known.has(ref))
    .map(({ ref, dependsOn = [] }) => ({
      ref: ref === npmRef ? root : ref,
      dependsOn: [...dependsOn.filter((each) => known.has(each)), ...(ref === npmRef ? [node["bom-ref"]] : [])],
    }));
  const { serialNumber: _, ...rest } = ofNpm as Sbom & { serialNumber?: string };
  return {
    ...rest,
    metadata: { component: { ...component, "bom-ref": root, type: "application", name } as Component },
    components: [...components, node],
    dependencies: [...dependencies, { ref: node["bom-ref"], dependsOn: [] }],
  };
}

/** What npm says of all packages of the lockfile. (With --omit dev it would leave out those that both kinds need.) */
export function askNpm(): Sbom {
  const args = ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"];
  const cwd = new URL(".", import.meta.url);
  return JSON.parse(execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })) as Sbom;
}

if (import.meta.main) {
  const [, , target = ""] = process.argv;
  if (!Object.hasOwn(BUNDLES, target)) {
    process.stderr.write(`sbom: give one of ${Object.keys(BUNDLES).join(", ")}\n`);
    process.exit(2);
  }
  const metafile = JSON.parse(read("dist/metafile.json")) as Metafile;
  process.stdout.write(`${JSON.stringify(describeImage(target as Target, metafile, askNpm()), undefined, 2)}\n`);
}
