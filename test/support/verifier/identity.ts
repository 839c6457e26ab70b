/*
 * What an application behind a gateway takes for the verifier's headers.
 */

/** The verifier's headers, without "X-Auth-". "Jwt" is there only if it signs. */
export const IDENTITY_HEADERS = [
  "Owner",
  "Scopes",
  "Token-Id",
  "Namespace",
  "Name",
  "Expires-At",
  "Token-State",
  "Jwt",
] as const;

/**
 * All headers that an application could take for the verifier's, however they are spelled: many read "_" as "-". Empty ones are left
 * out, as some gateways do.
 * @param rawHeaders names and values in turn
 */
export function identityOf(rawHeaders: readonly string[]): (readonly [name: string, value: string])[] {
  const pairs = rawHeaders.flatMap((name, place) => (place % 2 === 0 ? [[name, rawHeaders[place + 1] ?? ""]] : []));
  return pairs
    .map(([name = "", value = ""]) => [name.toLowerCase().replaceAll(/[^a-z0-9]/g, "-"), value] as const)
    .filter(([name, value]) => name.startsWith("x-auth-") && value !== "")
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
