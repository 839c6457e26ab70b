/*
 * `POST /tokenreview`: the webhook of kube-apiserver, authentication.k8s.io/v1 and v1beta1 TokenReview.
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
 */
import { z } from "zod";
import type { Answer } from "../lookup.ts";
import { type HttpAnswer, jsonAnswer } from "./answer.ts";

const reviewSchema = z.object({
  apiVersion: z.enum(["authentication.k8s.io/v1", "authentication.k8s.io/v1beta1"]),
  kind: z.literal("TokenReview"),
  spec: z.object({ token: z.string().min(1), audiences: z.array(z.string()).optional() }),
});

/** What kube-apiserver asks. */
export type TokenReview = z.infer<typeof reviewSchema>;

/** Reads a review from the parsed body; undefined if it is none. */
export function readTokenReview(body: unknown): TokenReview | undefined {
  return reviewSchema.safeParse(body).data;
}

/** No user or group of ours can be one of Kubernetes' own, which begin with "system:". */
export const USER_PREFIX = "apitoken:";

/** The answer to kube-apiserver. `audiences` are those for which this verifier's tokens are meant; empty: for any. */
export function answerReview(
  { apiVersion, spec }: TokenReview,
  answer: Answer,
  audiences: readonly string[],
): HttpAnswer {
  const respond = (status: object) => jsonAnswer(200, { apiVersion, kind: "TokenReview", status });
  // kube-apiserver logs the error and asks again; a refusal it would remember.
  if (answer.kind === "unknown") {
    return respond({
      authenticated: false,
      error: "apitoken: it cannot be said at the moment whether the token is good",
    });
  }
  const wanted = spec.audiences ?? [];
  const common = audiences.length === 0 ? wanted : wanted.filter((audience) => audiences.includes(audience));
  if (answer.kind === "no" || (wanted.length > 0 && common.length === 0)) return respond({ authenticated: false });
  const { token, scopes } = answer;
  return respond({
    authenticated: true,
    user: {
      username: `${USER_PREFIX}${token.owner}`,
      uid: token.id,
      groups: [`${USER_PREFIX}${token.namespace}`],
      extra: {
        "apitoken.dev/scopes": scopes,
        "apitoken.dev/name": [`${token.namespace}/${token.name}`],
      },
    },
    ...(wanted.length === 0 ? {} : { audiences: common }),
  });
}
