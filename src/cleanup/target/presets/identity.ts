/*
 * Presets: servers that sign people in. Names of tables and columns are those of their sources.
 */
import { definePreset, type PresetTarget } from "./preset.ts";

/** Keycloak's sessions of both kinds, which share a table and idle for different times. */
function sessionsOf(from: { table: string; column: string; owner?: string; idle: string; offlineIdle: string }) {
  const { column, idle, offlineIdle, ...rest } = from;
  const kind = (part: string, flag: string, plus: string): PresetTarget => ({
    ...rest,
    part,
    where: `offline_flag = '${flag}'`,
    expiresAt: { column, plus },
    epoch: "seconds",
  });
  return [kind("offline", "1", offlineIdle), kind("online", "0", idle)];
}

export const keycloak = definePreset({
  name: "keycloak",
  system: "Keycloak",
  versions: "26",
  sources: [
    "https://github.com/keycloak/keycloak/blob/091ec956bb27ecbf692f0bbe4a14d570d6f44b3c/model/jpa/src/main/resources/META-INF/jpa-changelog-25.0.0.xml",
    "https://github.com/keycloak/keycloak/blob/00a45a40e7ede6cc58fa9cf7a818999e5043ddef/model/jpa/src/main/java/org/keycloak/models/jpa/session/JpaUserSessionPersisterProvider.java",
  ],
  schema: "public",
  note:
    "Keycloak's idle times are settings of realms and clients: set the longest of all of them. Its own job allows a session " +
    "another three minutes, so never set a retention below that.",
  parameters: {
    idle: { kind: "duration", default: "30m", help: "longest SSO Session Idle of any realm" },
    offlineIdle: { kind: "duration", default: "30d", help: "longest Offline Session Idle of any realm" },
  },
  targets: ({ idle, offlineIdle }) => [
    ...sessionsOf({ table: "offline_client_session", column: "timestamp", idle, offlineIdle }),
    ...sessionsOf({
      table: "offline_user_session",
      column: "last_session_refresh",
      owner: "user_id",
      idle,
      offlineIdle,
    }),
    { table: "revoked_token", expiresAt: "expire", epoch: "seconds" },
  ],
});

export const hydra = definePreset({
  name: "hydra",
  system: "Ory Hydra",
  versions: "2.4",
  sources: [
    "https://github.com/ory/hydra/blob/153d789d811b0050184f557cd0ea5e2651c50a73/internal/testhelpers/sql_schemas/postgres_dump.sql",
  ],
  schema: "public",
  note:
    "Inactive tokens stay until they expire, because Hydra recognises by them that a token is used twice. Rows that a version " +
    "before 2.3 has written have no expiry and stay.",
  targets: () =>
    ["access", "refresh", "code", "oidc", "pkce", "jti_blacklist"].map((kind) => ({
      table: `hydra_oauth2_${kind}`,
      expiresAt: "expires_at",
      timezone: "UTC",
    })),
});

export const kratos = definePreset({
  name: "kratos",
  system: "Ory Kratos",
  versions: "1.1, 1.2",
  sources: [
    "https://github.com/ory/kratos/tree/v1.1.0/persistence/sql/migrations/sql",
    "https://github.com/ory/kratos/blob/0054a2d5c691d0e4dfde77b4acf3722709145a9d/persistence/sql/persister_session.go",
  ],
  schema: "public",
  note: "A logout leaves no time behind, so a session that has been signed out of is deleted at once.",
  targets: () => [
    {
      table: "sessions",
      expiresAt: "expires_at",
      revoked: "active = false",
      timezone: "UTC",
      owner: "identity_id",
      cascade: ["session_devices"],
    },
    {
      table: "selfservice_login_flows",
      expiresAt: "expires_at",
      timezone: "UTC",
      cascade: ["identity_login_codes"],
    },
    {
      table: "selfservice_recovery_flows",
      expiresAt: "expires_at",
      timezone: "UTC",
      cascade: ["identity_recovery_tokens"],
    },
    { table: "continuity_containers", expiresAt: "expires_at", timezone: "UTC" },
  ],
});

export const supabaseAuth = definePreset({
  name: "supabase-auth",
  system: "Supabase Auth (GoTrue)",
  versions: "2.180",
  sources: [
    "https://github.com/supabase/auth/tree/v2.180.0/migrations",
    "https://github.com/supabase/auth/blob/07889d31c41e8dc28893ee07e98987c290e46ee2/internal/models/cleanup.go",
  ],
  schema: "auth",
  note: "The retentions are GoTrue's own. A time box or an inactivity time-out of sessions is not included.",
  targets: () => [
    {
      table: "refresh_tokens",
      revokedAt: "updated_at",
      revoked: "revoked = true",
      retention: { revoked: "1d" },
      owner: "user_id",
    },
    {
      table: "sessions",
      expiresAt: "not_after",
      retention: { expired: "3d" },
      owner: "user_id",
      cascade: ["refresh_tokens", "mfa_amr_claims"],
    },
    { table: "saml_relay_states", expiresAt: { column: "created_at", plus: "1d" } },
    { table: "flow_state", expiresAt: { column: "created_at", plus: "1d" }, cascade: ["saml_relay_states"] },
    { table: "mfa_challenges", expiresAt: { column: "created_at", plus: "1d" } },
  ],
});

export const authelia = definePreset({
  name: "authelia",
  system: "Authelia",
  versions: "4.38",
  sources: [
    "https://github.com/authelia/authelia/blob/e618cf341627a89b5fec594090cf765c86aafaad/internal/storage/migrations/V0013.OneTimeCode.postgres.up.sql",
    "https://github.com/authelia/authelia/blob/e95271cd6ecf091c1701b9d4d11a7e0adde32de6/internal/storage/migrations/V0014.RevokeResetPasswordJWT.postgres.up.sql",
  ],
  schema: "public",
  note: "The tables oauth2_*_session keep their expiry in an encrypted column and cannot be cleaned by it.",
  targets: () => [
    { table: "identity_verification", expiresAt: "exp", revokedAt: ["revoked", "consumed"], owner: "username" },
    { table: "one_time_code", expiresAt: "expires", revokedAt: ["revoked", "consumed"], owner: "username" },
    { table: "oauth2_blacklisted_jti", expiresAt: "expires_at" },
  ],
});

export const dex = definePreset({
  name: "dex",
  system: "Dex",
  versions: "2.40",
  sources: [
    "https://github.com/dexidp/dex/blob/0262f748ee67d34955bf27307269cd7b9586f544/storage/sql/migrate.go",
    "https://github.com/dexidp/dex/blob/master/storage/sql/crud.go",
  ],
  schema: "public",
  note: "Refresh tokens are left out: Dex keeps their numbers in a second table, as JSON.",
  targets: () =>
    ["auth_request", "auth_code", "device_request", "device_token"].map((table) => ({ table, expiresAt: "expiry" })),
});
