/*
 * Presets: libraries for Java and .NET. Names of tables and columns are those of their sources.
 */
import { definePreset, timezoneParameter } from "./preset.ts";

export const springSession = definePreset({
  name: "spring-session",
  system: "Spring Session JDBC",
  versions: "3",
  sources: [
    "https://github.com/spring-projects/spring-session/blob/773ef24f80723239e7954686e6516d2d43205006/spring-session-jdbc/src/main/resources/org/springframework/session/jdbc/schema-postgresql.sql",
  ],
  schema: "public",
  parameters: {
    table: { kind: "name", default: "spring_session", help: "spring.session.jdbc.table-name, in lower case" },
  },
  targets: ({ table }) => [
    {
      table,
      expiresAt: "expiry_time",
      epoch: "milliseconds",
      owner: "principal_name",
      cascade: [`${table}_attributes`],
    },
  ],
});

export const springAuthorizationServer = definePreset({
  name: "spring-authorization-server",
  system: "Spring Authorization Server",
  versions: "1.1 to 1.3",
  sources: [
    "https://github.com/spring-projects/spring-authorization-server/blob/0656fde051bd3f07b712c3fe57b7412004df158e/oauth2-authorization-server/src/main/resources/org/springframework/security/oauth2/server/authorization/oauth2-authorization-schema.sql",
  ],
  schema: "public",
  note: "A refresh token has to outlive its access token, as it does by default. Revoked rows stay until they expire.",
  noExpiries: ["oidc_id_token_expires_at", "user_code_expires_at"],
  parameters: { timezone: timezoneParameter("time zone of the application's JVM") },
  targets: ({ timezone }) => [
    {
      table: "oauth2_authorization",
      part: "without a refresh token",
      where: "refresh_token_value is null",
      expiresAt: ["access_token_expires_at", "device_code_expires_at", "authorization_code_expires_at"],
      timezone,
      owner: "principal_name",
    },
    {
      table: "oauth2_authorization",
      part: "with a refresh token",
      where: "refresh_token_value is not null",
      expiresAt: "refresh_token_expires_at",
      timezone,
      owner: "principal_name",
    },
  ],
});

export const identityServer = definePreset({
  name: "identityserver",
  system: "Duende IdentityServer",
  versions: "7",
  sources: ["https://github.com/DuendeSoftware/products/tree/main/identity-server"],
  schema: "public",
  note:
    "Consumed grants stay until they expire, as by default in IdentityServer. Sessions on the server are deleted without " +
    "back-channel logout.",
  targets: () => [
    { table: '"PersistedGrants"', expiresAt: '"Expiration"', owner: '"SubjectId"' },
    { table: '"DeviceCodes"', expiresAt: '"Expiration"', owner: '"SubjectId"' },
    { table: '"ServerSideSessions"', expiresAt: '"Expires"', owner: '"SubjectId"' },
    { table: '"PushedAuthorizationRequests"', expiresAt: '"ExpiresAtUtc"' },
  ],
});

export const openIddict = definePreset({
  name: "openiddict",
  system: "OpenIddict (Entity Framework Core)",
  versions: "5, 6",
  sources: [
    "https://github.com/openiddict/openiddict-core/blob/01531930decae8884d829398d0c2c285bf23fccd/src/OpenIddict.EntityFrameworkCore/Stores/OpenIddictEntityFrameworkCoreTokenStore.cs",
  ],
  schema: "public",
  note:
    "A revocation leaves no time behind, so the age of a revoked token counts from its creation. The retention of 14 days is " +
    "OpenIddict's own.",
  targets: () => [
    {
      table: '"OpenIddictTokens"',
      expiresAt: '"ExpirationDate"',
      revokedAt: '"CreationDate"',
      revoked: "\"Status\" in ('redeemed', 'rejected', 'revoked')",
      retention: { expired: "14d", revoked: "14d" },
      owner: '"Subject"',
    },
  ],
});
