/*
 * What went wrong between us and the API server, in the words of somebody who has to do something about it: the right that is
 * missing, the object that is not there, or why there was no answer.
 */
import { KubeApiError, KubeUnreachableError } from "../../kube/api-error.ts";
import type { KubeconfigTarget } from "../../kube/kubeconfig.ts";
import type { MissingRight } from "../../kube/refusal.ts";
import { GROUP } from "../../kube/resources/group.ts";
import { Fault } from "../../runtime/fault.ts";
import { formatDuration } from "../../token/duration.ts";

/** The one that makes a call. */
export interface Caller {
  readonly target: KubeconfigTarget;
  /** The limit of each call. */
  readonly timeoutMs: number;
}

/** The same failure as a Fault for people; whatever is a Fault for them already stays as it is. */
export function explainFailure(error: unknown, client: Caller): unknown {
  if (error instanceof KubeUnreachableError) return explainSilence(error, client);
  if (!(error instanceof KubeApiError)) return error;
  if (error.missingRight !== undefined) return rightMissing(error.missingRight);
  const server = `the API server ${client.target.server}`;
  if (error.code === 401) {
    return new Fault({
      faultCode: "APITOKEN_E_API_REFUSED",
      object: server,
      problem: "it does not accept your credentials",
      remedy: 'log in again; "kubectl auth whoami" shows whether that helped',
    });
  }
  // Of a kind that does not exist, the API server says nothing; of a namespace that does not, it says so.
  if (error.code === 404 && error.answer === undefined && isCollection(error.path)) return definitionsMissing(client);
  if (error.answer === undefined) return error;
  return new Fault({
    faultCode: "APITOKEN_E_API_REFUSED",
    object: server,
    problem: `it refuses this (${error.code} ${error.reason}): ${error.answer}`,
  });
}

/** The text of a right, as in "list apitokens.apitoken.dev in the namespace shop". */
export function formatRight({ verb, resource, namespace }: Omit<MissingRight, "user">): string {
  return `${verb} ${resource} ${namespace === undefined ? "in the whole cluster" : `in the namespace ${namespace}`}`;
}

function rightMissing(right: MissingRight): Fault {
  return new Fault({
    faultCode: "APITOKEN_E_RIGHT_MISSING",
    problem: `user ${JSON.stringify(right.user)} lacks the right to ${formatRight(right)}`,
    remedy:
      right.verb === "list" && right.namespace === undefined
        ? "choose a namespace with -n instead of -A, or ask an administrator for the right"
        : "ask an administrator for the right; the chart has roles for it (docs/people.md)",
  });
}

/** Whether a path of our API group names all objects of a kind: then 404 means that the kind does not exist. */
function isCollection(path: string): boolean {
  return new RegExp(`^/apis/${GROUP.replace(".", "\\.")}/[^/]+/(namespaces/[^/]+/)?[a-z]+$`).test(path);
}

/** The cluster has no ApiTokens at all. */
export function definitionsMissing({ target }: Pick<Caller, "target">): Fault {
  return new Fault({
    faultCode: "APITOKEN_E_DEFINITIONS_MISSING",
    object: `the cluster of context ${JSON.stringify(target.context)}`,
    problem: "it has no ApiTokens: the operator's CRDs are not installed",
    remedy: "choose another --context, or install the operator (docs/install.md)",
  });
}

/** There is no such object. */
export function objectMissing(object: string, remedy: string): Fault {
  return new Fault({ faultCode: "APITOKEN_E_OBJECT_MISSING", object, problem: "it does not exist", remedy });
}

/** What Node and undici call the failures of a connection, and what they mean for a user. */
const CAUSES: Readonly<Record<string, readonly [problem: string, remedy: string]>> = {
  ECONNREFUSED: [
    "nothing listens at this address",
    "check the address in the kubeconfig, and whether the cluster runs",
  ],
  ENOTFOUND: ["its name cannot be resolved", "check the address in the kubeconfig, and the network or VPN"],
  EAI_AGAIN: ["its name cannot be resolved at present", "check the network or VPN"],
  ECONNRESET: ["it closed the connection", "try again; check proxies between you and it"],
  EPIPE: ["it closed the connection", "try again; check proxies between you and it"],
  UND_ERR_SOCKET: ["it closed the connection", "try again; check proxies between you and it"],
  EHOSTUNREACH: ["there is no route to it", "check the network or VPN"],
  ENETUNREACH: ["there is no route to it", "check the network or VPN"],
};

function explainSilence(error: KubeUnreachableError, { target, timeoutMs }: Caller) {
  const { cause } = error;
  if (cause instanceof Fault) return cause;
  const code = codeOf(cause);
  const call = error.path === undefined ? "" : ` (${error.path})`;
  const known = CAUSES[code];
  const isTimeout = ["AbortError", "TimeoutError"].includes((cause as Error | undefined)?.name ?? "");
  const isCertificate = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(code);
  const [problem, remedy] = isCertificate
    ? [`its certificate is not trusted (${code})`, "check certificate-authority and tls-server-name in the kubeconfig"]
    : isTimeout || code.includes("TIMEOUT")
      ? [
          `it did not answer within ${formatDuration(timeoutMs)}${call}`,
          "check the network or VPN, or wait longer with --request-timeout",
        ]
      : (known ?? [`${(cause as Error | undefined)?.message ?? error.message}${call}`, undefined]);
  return new Fault({
    faultCode: "APITOKEN_E_API_UNREACHABLE",
    object: `the API server ${target.server}`,
    problem,
    remedy,
  });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  return codeOf(error.cause);
}
