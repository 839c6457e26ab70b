/*
 * The e2e must run on any cluster and with any way to build and load images, so both are options with command lines.
 */
import { parseArgs } from "node:util";
import { CHART, imageName, NAMESPACES, TARGETS, type Version } from "./installation.ts";

/** The folder of the Dockerfile of the gateway, and its target. */
const GATEWAY_CONTEXT = "test/e2e/gateway-image";
const GATEWAY_TARGET = "e2e-gateway";

export const HELP = `Installs the chart into a cluster, and checks that it works on real pods. KUBECONFIG selects the cluster.

Usage: npm run e2e -- [options]

      --build CMD      builds an image of a Dockerfile; {target}, {image} and {context} (the Dockerfile's folder) are
                       replaced                      [docker build --target {target} -t {image} {context}]
      --load CMD       loads an image; {} is an archive of it, {image} its name: 'kind load image-archive {}'
      --no-build       build nothing: the cluster can already pull the images
      --registry R     their registry                                       []
      --tag T          their tag                                            [e2e]
      --postgres I     the image for Postgres                               [docker.io/library/postgres:15]
      --gateway I      an image that was built from ${GATEWAY_CONTEXT}    [built and loaded like the others]
      --upgrade-from CHART         first install another version of the chart, then upgrade it to this one: an archive,
                                   a folder, or oci://REGISTRY/CHART:VERSION
      --upgrade-from-registry R    the registry of that version's images    [as --registry]
      --upgrade-from-tag T         their tag                                [that chart's appVersion]
      --wait           helm install --wait
      --keep           remove nothing at the end
  -h, --help           print this

It creates the namespaces ${NAMESPACES.join(", ")} and the CRDs, and deletes them at the beginning and at the end.
`;

/** An image that is built from a target of the Dockerfile in a folder of this checkout. */
export interface ImageSource {
  readonly image: string;
  readonly target: string;
  readonly context: string;
}

/** What the e2e should do. */
export interface E2eOptions {
  /** The version under test, with images of a known tag. */
  readonly current: Version & { readonly images: { readonly tag: string } };
  /** The version to install first; undefined to install only the current one. */
  readonly previous: Version | undefined;
  /** The image of the gateway in front of the verifier. */
  readonly gateway: string;
  /** What to build and load, and how; undefined if the cluster can pull the images. */
  readonly supply: Supply | undefined;
  readonly waits: boolean;
  readonly keeps: boolean;
  readonly needsHelp: boolean;
}

/** How images come into the cluster: two command lines, and what to run them for. */
export interface Supply {
  readonly build: string;
  readonly load: string | undefined;
  readonly images: readonly ImageSource[];
}

/** Reads the command line. Throws an Error that names an unknown option, or options that make no sense together. */
export function readOptions(args: readonly string[]): E2eOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      build: { type: "string", default: "docker build --target {target} -t {image} {context}" },
      load: { type: "string" },
      "no-build": { type: "boolean", default: false },
      registry: { type: "string", default: "" },
      tag: { type: "string", default: "e2e" },
      postgres: { type: "string", default: "docker.io/library/postgres:15" },
      gateway: { type: "string" },
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
  const ofTarget = (target: string, context: string) => ({
    image: imageName({ registry, tag }, target),
    target,
    context,
  });
  const gateway = ofTarget(GATEWAY_TARGET, GATEWAY_CONTEXT);
  const images = TARGETS.map((target) => ofTarget(target, "."));
  if (values.gateway === undefined) images.push(gateway);
  return {
    current: { chart: CHART, images: { registry, tag, postgres } },
    previous:
      chart === undefined ? undefined : { chart, images: { registry: of.registry ?? registry, tag: of.tag, postgres } },
    gateway: values.gateway ?? gateway.image,
    supply: values["no-build"] ? undefined : { build: values.build, load: values.load, images },
    waits: values.wait,
    keeps: values.keep,
    needsHelp: values.help,
  };
}
