/*
 * Who the API server takes the user for, as `kubectl auth whoami` shows it.
 */
import type { Client } from "./client.ts";

export interface Identity {
  readonly username: string;
  readonly groups: readonly string[];
}

/** The user of this client. Everybody may ask. */
export async function whoAmI({ transport }: Client): Promise<Identity> {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  const { status } = await transport.request<{ status: { userInfo: Partial<Identity> } }>("POST", path, { body });
  return { username: status.userInfo.username ?? "", groups: status.userInfo.groups ?? [] };
}

/**
 * The owners that stand for a user: the user's name, and what follows the prefix that an identity provider puts before it, as in
 * "oidc:alice@example.com". Only the cluster's administrator knows the prefix, so every prefix counts that ends with a colon.
 */
export function ownersOf(username: string): string[] {
  const parts = username.split(":");
  return parts.map((_, index) => parts.slice(index).join(":")).filter((owner) => owner !== "");
}
