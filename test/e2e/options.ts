/*
 * The e2e must run on any cluster and with any way to build and load images, so both are options with command lines.
 */
import { parseArgs } from "node:util";
import { CHART, SYSTEM, TENANT, type Version } from "./installation.ts";

export const HELP = `Installs the chart into a cluster, and checks that it works on real pods. KUBECONFIG selects the cluster.

Usage: npm run e2e -- [options]

      --build CMD      builds an image; {target} and {image} are replaced   [docker build --target {target} -t {image} .]
      --load CMD       loads an image; {} is an archive of it, {image} its name: 'kind load image-archive {}'
      --no-build       build nothing: the cluster can already pull the images
      --registry R     their registry                                       []
      --tag T          their tag                                            [e2e]
      --postgres I     the image for Postgres                               [docker.io/library/postgres:15]
      --upgrade-from CHART         first install another version of the chart, then upgrade it to this one: an archive,
                                   a folder, or oci://REGISTRY/CHART:VERSION
      --upgrade-from-registry R    the registry of that version's images    [as --registry]
      --upgrade-from-tag T         their tag                                [that chart's appVersion]
      --wait           helm install --wait
      --keep           remove nothing at the end
  -h, --help           print this

It creates the namespaces ${SYSTEM} and ${TENANT} and the CRDs, and deletes them at the beginning and at the end.
`;

/** What the e2e should do. */
export interface E2eOptions {
  /** The version under test, with images of a known tag. */
  readonly current: Version & { readonly images: { readonly tag: string } };
  /** The version to install first; undefined to install only the current one. */
  readonly previous: Version | undefined;
  /** How to build and load the current version's images; undefined if the cluster can pull them. */
  readonly supply: { readonly build: string; readonly load: string | undefined } | undefined;
  readonly waits: boolean;
  readonly keeps: boolean;
  readonly needsHelp: boolean;
}

/** Reads the command line. Throws an Error that names an unknown option, or options that make no sense together. */
export function readOptions(args: readonly string[]): E2eOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      build: { type: "string", default: "docker build --target {target} -t {image} ." },
      load: { type: "string" },
      "no-build": { type: "boolean", default: false },
      registry: { type: "string", default: "" },
      tag: { type: "string", default: "e2e" },
      postgres: { type: "string", default: "docker.io/library/postgres:15" },
      "upgrade-from": { type: "string" },
      "upgrade-from-registry": { type: "string" },
      "upgrade-from-tag": { type: "string" },
      wait: { type: "boolean", default: false },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { registry, tag, postgres } = values;
  const chart = values["upgrade-from"];
  const of = { registry: values["upgrade-from-registry"], tag: values["upgrade-from-tag"] };
  if (chart === undefined && (of.registry !== undefined || of.tag !== undefined)) {
    throw new Error("--upgrade-from-registry and --upgrade-from-tag need --upgrade-from");
  }
  return {
    current: { chart: CHART, images: { registry, tag, postgres } },
    previous:
      chart === undefined ? undefined : { chart, images: { registry: of.registry ?? registry, tag: of.tag, postgres } },
    supply: values["no-build"] ? undefined : { build: values.build, load: values.load },
    waits: values.wait,
    keeps: values.keep,
    needsHelp: values.help,
  };
}
