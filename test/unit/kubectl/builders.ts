/*
 * ApiTokens as the API server returns them, for the tests of the plugin's pure parts.
 */
import { type ApiTokenView, readApiToken } from "../../../src/kubectl/client/api-token.ts";

export const NOW = new Date("2026-06-11T12:00:00Z");
export const DAY_MS = 86_400_000;

/** This long after NOW, as in a status. */
export function fromNow(ms: number): string {
  return new Date(NOW.getTime() + ms).toISOString().replace(".000Z", "Z");
}

export interface Parts {
  readonly metadata?: object;
  readonly spec?: object;
  readonly status?: object;
  readonly ready?: { readonly status: string; readonly reason: string; readonly message?: string };
  readonly conditions?: readonly object[];
}

/** An ApiToken shop/orders that was issued ten days ago for thirty, unless the parts say otherwise. */
export function anApiToken({ metadata, spec, status, ready, conditions = [] }: Parts = {}): ApiTokenView {
  const lastTransitionTime = fromNow(-10 * DAY_MS);
  const condition = { type: "Ready", status: "True", reason: "Issued", message: "", lastTransitionTime, ...ready };
  return readApiToken({
    metadata: {
      ...{ namespace: "shop", name: "orders", uid: "1", generation: 1, creationTimestamp: lastTransitionTime },
      ...metadata,
    },
    spec: { owner: "shop/orders", scopes: ["orders:read"], ...spec },
    status: {
      ...{ observedGeneration: 1, tokenId: "aaaaaaaaaaaa", revision: 1, secretName: "orders", policy: "default" },
      ...{ issuedAt: lastTransitionTime, renewAt: fromNow(17 * DAY_MS), expiresAt: fromNow(20 * DAY_MS) },
      conditions: [condition, ...conditions],
      ...status,
    },
  });
}
