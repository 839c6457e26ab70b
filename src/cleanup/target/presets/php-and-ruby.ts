/*
 * Presets: frameworks and libraries for PHP and Ruby. Names of tables and columns are those of their sources.
 */
import { definePreset, type PresetTarget, timezoneParameter } from "./preset.ts";

export const laravelPassport = definePreset({
  name: "laravel-passport",
  system: "Laravel Passport",
  versions: "8 to 12",
  sources: [
    "https://github.com/laravel/passport/tree/12.x/database/migrations",
    "https://github.com/laravel/passport/blob/01b4ff2e92177159f4cc6356e743b0c9b1e37ea5/src/Console/PurgeCommand.php",
  ],
  schema: "public",
  note: "A revocation leaves no time behind, so a revoked row is deleted at once.",
  parameters: { timezone: timezoneParameter("app.timezone") },
  targets: ({ timezone }) =>
    [
      { table: "oauth_access_tokens", owner: "user_id" },
      { table: "oauth_refresh_tokens" },
      { table: "oauth_auth_codes", owner: "user_id" },
    ].map((target) => ({ ...target, expiresAt: "expires_at", revoked: "revoked = true", timezone })),
});

export const laravelSanctum = definePreset({
  name: "laravel-sanctum",
  system: "Laravel Sanctum",
  versions: "3, 4",
  sources: [
    "https://github.com/laravel/sanctum/blob/458de173b4ce8eb9a5392f38e7f8e49aeb468f00/database/migrations/2019_12_14_000001_create_personal_access_tokens_table.php",
  ],
  schema: "public",
  note: "The retention of 24 hours is that of sanctum:prune-expired. The setting sanctum.expiration is not included.",
  parameters: { timezone: timezoneParameter("app.timezone") },
  targets: ({ timezone }) => [
    {
      table: "personal_access_tokens",
      expiresAt: "expires_at",
      timezone,
      retention: { expired: "24h" },
      owner: "tokenable_id",
    },
  ],
});

export const laravelSessions = definePreset({
  name: "laravel-sessions",
  system: "Laravel, session driver database",
  versions: "11",
  sources: [
    "https://github.com/laravel/framework/blob/00f4cab7b65a85314204d800a47c669b1689a26c/src/Illuminate/Session/DatabaseSessionHandler.php",
  ],
  schema: "public",
  parameters: {
    table: { kind: "name", default: "sessions", help: "SESSION_TABLE" },
    lifetime: { kind: "duration", default: "2h", help: "SESSION_LIFETIME" },
  },
  targets: ({ table, lifetime }) => [
    { table, expiresAt: { column: "last_activity", plus: lifetime }, epoch: "seconds", owner: "user_id" },
  ],
});

export const symfonySessions = definePreset({
  name: "symfony-sessions",
  system: "Symfony, PdoSessionHandler",
  versions: "6, 7",
  sources: [
    "https://github.com/symfony/http-foundation/blob/0341e41d8d8830c31a1dff5cbc5bdb3ec872a073/Session/Storage/Handler/PdoSessionHandler.php",
  ],
  schema: "public",
  parameters: { table: { kind: "name", default: "sessions", help: "db_table of the handler" } },
  targets: ({ table }) => [{ table, expiresAt: "sess_lifetime", epoch: "seconds" }],
});

/** An expired access token that can be refreshed is not dead. */
const tokens: readonly PresetTarget[] = [
  {
    table: "oauth_access_tokens",
    part: "without a refresh token",
    where: "refresh_token is null",
    expiresAt: { column: "created_at", plusSeconds: "expires_in" },
    revokedAt: "revoked_at",
    timezone: "UTC",
    owner: "resource_owner_id",
  },
  {
    table: "oauth_access_tokens",
    part: "with a refresh token",
    where: "refresh_token is not null",
    revokedAt: "revoked_at",
    timezone: "UTC",
    owner: "resource_owner_id",
  },
];

const grants: PresetTarget = {
  table: "oauth_access_grants",
  expiresAt: { column: "created_at", plusSeconds: "expires_in" },
  revokedAt: "revoked_at",
  timezone: "UTC",
  owner: "resource_owner_id",
};

export const doorkeeper = definePreset({
  name: "doorkeeper",
  system: "Doorkeeper",
  versions: "5",
  sources: [
    "https://github.com/doorkeeper-gem/doorkeeper/blob/199b0bc4c7e5cb4713759053116d5083aa1ffc53/lib/generators/doorkeeper/templates/migration.rb.erb",
    "https://github.com/doorkeeper-gem/doorkeeper/blob/185718644d6c64e67abada96798c4235e49173a6/lib/doorkeeper/orm/active_record/stale_records_cleaner.rb",
  ],
  schema: "public",
  note: "Rows with expires_in = 0 stay.",
  targets: () => [...tokens, grants],
});

export const mastodon = definePreset({
  name: "mastodon",
  system: "Mastodon",
  versions: "4.5",
  sources: ["https://github.com/mastodon/mastodon/blob/0070a2071a1d836cc6005ddb79d92ecbef998aed/db/schema.rb"],
  schema: "public",
  targets: () => [
    {
      ...grants,
      table: "oauth_access_tokens",
      cascade: ["session_activations", "web_push_subscriptions"],
    },
    grants,
  ],
});

export const railsSessionStore = definePreset({
  name: "rails-session-store",
  system: "activerecord-session_store",
  versions: "2",
  sources: [
    "https://github.com/rails/activerecord-session_store/blob/03e763be44fed2dcda5c0ca01ea1a0265be9b13e/lib/tasks/database.rake",
  ],
  schema: "public",
  parameters: {
    table: { kind: "name", default: "sessions", help: "table of the sessions" },
    age: { kind: "duration", default: "30d", help: "SESSION_DAYS_TRIM_THRESHOLD" },
  },
  targets: ({ table, age }) => [
    { table, expiresAt: { column: "updated_at", plus: age }, timezone: "UTC", retention: { expired: "0s" } },
  ],
});
