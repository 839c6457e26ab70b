/*
 * Presets: libraries for Python and Node. Names of tables and columns are those of their sources.
 */
import { definePreset, timezoneParameter } from "./preset.ts";

export const djangoSessions = definePreset({
  name: "django-sessions",
  system: "Django, sessions in the database",
  versions: "4, 5",
  sources: [
    "https://github.com/django/django/blob/0aac791b10d679b535ed11f9705080298066f553/django/contrib/sessions/migrations/0001_initial.py",
  ],
  schema: "public",
  targets: () => [{ table: "django_session", expiresAt: "expire_date" }],
});

export const djangoOauthToolkit = definePreset({
  name: "django-oauth-toolkit",
  system: "django-oauth-toolkit",
  versions: "3.0",
  sources: [
    "https://github.com/jazzband/django-oauth-toolkit/blob/00606b6de3bcbb622d65ef7dfff52b5231a89191/oauth2_provider/models.py",
  ],
  schema: "public",
  note:
    "Refresh tokens end when they are revoked, as without REFRESH_TOKEN_EXPIRE_SECONDS. An expired access token is held for as " +
    "long as a refresh token refers to it.",
  targets: () => [
    { table: "oauth2_provider_refreshtoken", revokedAt: "revoked", owner: "user_id" },
    { table: "oauth2_provider_accesstoken", expiresAt: "expires", owner: "user_id" },
    { table: "oauth2_provider_idtoken", expiresAt: "expires", owner: "user_id" },
    { table: "oauth2_provider_grant", expiresAt: "expires", owner: "user_id" },
  ],
});

export const airflow = definePreset({
  name: "airflow",
  system: "Apache Airflow, sessions of the web server",
  versions: "2",
  sources: [
    "https://github.com/apache/airflow/blob/main/airflow/migrations/versions/0095_2_2_4_add_session_table_to_db.py",
  ],
  schema: "public",
  targets: () => [{ table: "session", expiresAt: "expiry", timezone: "UTC" }],
});

export const authjs = definePreset({
  name: "authjs",
  system: "Auth.js, @auth/pg-adapter",
  versions: "1",
  sources: [
    "https://github.com/nextauthjs/next-auth/blob/0dfa804d888df88f87880bdb4d670e7d3c2b9262/packages/adapter-pg/schema.sql",
  ],
  schema: "public",
  note: "Other adapters have other names. Never clean accounts by expires_at: it is the expiry of the provider's token.",
  targets: () => [
    { table: "sessions", expiresAt: "expires", owner: '"userId"' },
    { table: "verification_token", expiresAt: "expires" },
  ],
});

export const betterAuth = definePreset({
  name: "better-auth",
  system: "Better Auth",
  versions: "1.4",
  sources: [
    "https://github.com/better-auth/better-auth/blob/004065d490f7c8606828a175b488d8d6806565f5/packages/better-auth/src/db/get-tables.ts",
  ],
  schema: "public",
  note: "Never clean account by its times: they are those of the provider's tokens.",
  targets: () => [
    { table: "session", expiresAt: '"expiresAt"', owner: '"userId"' },
    { table: "verification", expiresAt: '"expiresAt"' },
  ],
});

export const connectPgSimple = definePreset({
  name: "connect-pg-simple",
  system: "connect-pg-simple (express-session)",
  versions: "5 and later",
  sources: [
    "https://github.com/voxpelli/node-connect-pg-simple/blob/163e403e010fd62d58244bf1fd036d15db564f61/table.sql",
  ],
  schema: "public",
  parameters: {
    table: { kind: "name", default: "session", help: "tableName of the store" },
    timezone: timezoneParameter("TimeZone of the application's database sessions"),
  },
  targets: ({ table, timezone }) => [{ table, expiresAt: "expire", timezone }],
});
