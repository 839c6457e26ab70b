/*
 * Presets: applications with sign-ins of their own. Names of tables and columns are those of their sources.
 */
import { definePreset } from "./preset.ts";

export const synapse = definePreset({
  name: "synapse",
  system: "Matrix Synapse",
  versions: "1.90",
  sources: [
    "https://github.com/element-hq/synapse/blob/develop/synapse/storage/schema/main/full_schemas/72/full.sql.postgres",
    "https://github.com/element-hq/synapse/blob/001f16b0d1347ec422c81ffe6bdcd83770e44ccf/synapse/storage/databases/main/registration.py",
  ],
  schema: "public",
  note:
    "While an expired access token exists, a client is signed out softly and keeps its encryption keys; when the row is gone, it " +
    "may drop them. So the retention is 30 days.",
  targets: () =>
    [
      {
        table: "refresh_tokens",
        expiresAt: ["expiry_ts", "ultimate_session_expiry_ts"],
        cascade: ["access_tokens"],
      },
      { table: "access_tokens", expiresAt: "valid_until_ms" },
      { table: "login_tokens", expiresAt: "expiry_ts", revokedAt: "used_ts" },
      { table: "open_id_tokens", expiresAt: "ts_valid_until_ms" },
    ].map((target) => ({
      ...target,
      epoch: "milliseconds" as const,
      retention: "revokedAt" in target ? { expired: "30d", revoked: "30d" } : { expired: "30d" },
      owner: "user_id",
    })),
});

export const mattermost = definePreset({
  name: "mattermost",
  system: "Mattermost",
  versions: "9",
  sources: [
    "https://github.com/mattermost/mattermost/blob/45b3110bf0701d44625d07c26a4be132172ad499/server/channels/db/migrations/postgres/000022_create_sessions.up.sql",
    "https://github.com/mattermost/mattermost/blob/061cc88976bfba99683f431f88fd2e88c0c1cf29/server/channels/store/sqlstore/session_store.go",
  ],
  schema: "public",
  note: "OAuth access tokens that can be refreshed stay, because their rows hold the refresh token.",
  targets: () => [
    { table: "sessions", expiresAt: "expiresat", epoch: "milliseconds", owner: "userid" },
    {
      table: "oauthaccessdata",
      where: "refreshtoken = ''",
      expiresAt: "expiresat",
      epoch: "milliseconds",
      owner: "userid",
    },
    {
      table: "oauthauthdata",
      expiresAt: { column: "createat", plusSeconds: "expiresin" },
      epoch: "milliseconds",
      owner: "userid",
    },
    { table: "tokens", expiresAt: { column: "createat", plus: "2d" }, epoch: "milliseconds" },
  ],
});

export const grafana = definePreset({
  name: "grafana",
  system: "Grafana",
  versions: "10, 11",
  sources: [
    "https://github.com/grafana/grafana/blob/0b596ec909baa92dcc5ad32d64ea1decf8746aeb/pkg/services/sqlstore/migrations/user_auth_token_mig.go",
    "https://github.com/grafana/grafana/blob/0b596ec909baa92dcc5ad32d64ea1decf8746aeb/pkg/services/auth/authimpl/token_cleanup.go",
  ],
  schema: "public",
  note:
    "A token that has reached its maximum life counts as revoked, because two times decide about it. API keys are left out: " +
    "Grafana keeps expired ones and shows them.",
  parameters: {
    idle: { kind: "duration", default: "7d", help: "login_maximum_inactive_lifetime_duration" },
    lifetime: { kind: "duration", default: "30d", help: "login_maximum_lifetime_duration" },
  },
  targets: ({ idle, lifetime }) => [
    {
      table: "user_auth_token",
      expiresAt: { column: "rotated_at", plus: idle },
      revokedAt: { column: "created_at", plus: lifetime },
      epoch: "seconds",
      owner: "user_id",
    },
  ],
});

export const gitea = definePreset({
  name: "gitea",
  system: "Gitea, Forgejo",
  versions: "1.22 of Gitea",
  sources: [
    "https://github.com/go-gitea/gitea/blob/054c58edf866ee78506e7ef9de84963594cf4f89/models/auth/session.go",
    "https://github.com/go-gitea/gitea/blob/207dc75978451d9f9cde3c8fbf812df16c1cce13/models/auth/auth_token.go",
    "https://github.com/go-gitea/gitea/blob/033ef88c2413acc99abe63beb2af654667e535fc/models/auth/oauth2.go",
  ],
  schema: "public",
  note: "Access tokens have no expiry and are left out.",
  parameters: { lifetime: { kind: "duration", default: "1d", help: "SESSION_LIFE_TIME" } },
  targets: ({ lifetime }) => [
    // Despite its name, this is the time of the last write.
    { table: "session", expiresAt: { column: "expiry", plus: lifetime }, epoch: "seconds" },
    { table: "auth_token", expiresAt: "expires_unix", epoch: "seconds", owner: "user_id" },
    { table: "oauth2_authorization_code", expiresAt: "valid_until", epoch: "seconds" },
  ],
});

export const discourse = definePreset({
  name: "discourse",
  system: "Discourse",
  versions: "3.5",
  sources: [
    "https://github.com/discourse/discourse/blob/09d07fc4184790aa3c69a90387afe65c98d5e47e/app/models/user_auth_token.rb",
  ],
  schema: "public",
  note: "API keys are left out: staff can undo a revocation.",
  noExpiries: ["impersonation_expires_at"],
  parameters: { age: { kind: "duration", default: "60d", help: "maximum session age" } },
  targets: ({ age }) => [
    {
      table: "user_auth_tokens",
      expiresAt: { column: "rotated_at", plus: age },
      timezone: "UTC",
      owner: "user_id",
    },
  ],
});

export const nextcloud = definePreset({
  name: "nextcloud",
  system: "Nextcloud",
  versions: "30",
  sources: [
    "https://github.com/nextcloud/server/blob/59fac23dc32ace903a7ab219030ccef7b15a978b/core/Migrations/Version13000Date20170718121200.php",
    "https://github.com/nextcloud/server/blob/master/lib/private/Authentication/Token/PublicKeyTokenProvider.php",
  ],
  schema: "public",
  note: "The column expires must not decide: Nextcloud needs the expired row in order to refresh it.",
  noExpiries: ["expires"],
  parameters: {
    prefix: { kind: "name", default: "oc_", help: "dbtableprefix" },
    session: { kind: "duration", default: "1d", help: "session_lifetime" },
    remembered: { kind: "duration", default: "15d", help: "remember_login_cookie_lifetime" },
    wiped: { kind: "duration", default: "60d", help: "token_auth_wipe_token_retention" },
    appPassword: { kind: "duration", default: "365d", help: "token_auth_token_retention" },
  },
  targets: ({ prefix, session, remembered, wiped, appPassword }) =>
    (
      [
        ["sessions", "type = 0 and remember = 0", session],
        ["remembered sessions", "type = 0 and remember = 1", remembered],
        ["to be wiped", "type = 2", wiped],
        ["app passwords", "type = 1", appPassword],
      ] as const
    ).map(([part, kind, plus]) => ({
      table: `${prefix}authtoken`,
      part,
      where: `${kind} and version = 2`,
      expiresAt: { column: "last_activity", plus },
      epoch: "seconds",
      owner: "uid",
    })),
});
