/*
 * The columns by which the tables of a well-known system are known, beside those that its preset names. Tables called sessions with
 * a column updated_at are in many applications, so each table needs columns that only the system gives it, and that all of the
 * preset's versions have.
 */

const HYDRA = ["signature", "request_id", "requested_at", "client_id", "granted_scope", "session_data"];
const DOORKEEPER = {
  oauth_access_tokens: ["application_id", "resource_owner_id", "token", "refresh_token", "scopes"],
  oauth_access_grants: ["application_id", "token", "redirect_uri", "scopes"],
};

/** By the preset's name, then by the table's. */
export const SIGNATURES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  airflow: { session: ["session_id", "data"] },
  authelia: {
    identity_verification: ["jti", "iat", "issued_ip", "action", "consumed_ip"],
    one_time_code: ["public_id", "signature", "issued_ip", "intent", "code"],
    oauth2_blacklisted_jti: ["signature"],
  },
  authjs: { sessions: ["sessionToken"], verification_token: ["identifier", "token"] },
  "better-auth": {
    session: ["token", "ipAddress", "userAgent", "createdAt", "updatedAt"],
    verification: ["identifier", "value"],
  },
  "connect-pg-simple": { session: ["sid", "sess"] },
  dex: {
    auth_request: ["client_id", "response_types", "force_approval_prompt", "claims_user_id", "connector_id"],
    auth_code: ["client_id", "redirect_uri", "claims_user_id", "connector_id"],
    device_request: ["user_code", "device_code", "client_id"],
    device_token: ["device_code", "last_request", "poll_interval"],
  },
  discourse: { user_auth_tokens: ["auth_token", "prev_auth_token", "auth_token_seen", "seen_at"] },
  "django-oauth-toolkit": {
    oauth2_provider_refreshtoken: ["token", "access_token_id", "application_id"],
    oauth2_provider_accesstoken: ["token", "scope", "application_id", "source_refresh_token_id"],
    oauth2_provider_idtoken: ["jti", "scope", "application_id"],
    oauth2_provider_grant: ["code", "redirect_uri", "scope", "application_id"],
  },
  "django-sessions": { django_session: ["session_key", "session_data"] },
  doorkeeper: DOORKEEPER,
  gitea: {
    session: ["key", "data"],
    auth_token: ["token_hash"],
    oauth2_authorization_code: ["grant_id", "code", "redirect_uri"],
  },
  grafana: { user_auth_token: ["auth_token", "prev_auth_token", "auth_token_seen", "seen_at", "client_ip"] },
  hydra: {
    hydra_oauth2_access: HYDRA,
    hydra_oauth2_refresh: HYDRA,
    hydra_oauth2_code: HYDRA,
    hydra_oauth2_oidc: HYDRA,
    hydra_oauth2_pkce: HYDRA,
    hydra_oauth2_jti_blacklist: ["signature"],
  },
  identityserver: {
    PersistedGrants: ["Key", "Type", "ClientId", "Data"],
    DeviceCodes: ["UserCode", "DeviceCode", "ClientId"],
    ServerSideSessions: ["Key", "Scheme", "Renewed", "Data"],
    PushedAuthorizationRequests: ["ReferenceValueHash", "Parameters"],
  },
  keycloak: {
    offline_client_session: ["user_session_id", "client_id", "data"],
    offline_user_session: ["user_session_id", "realm_id", "data"],
    revoked_token: ["id"],
  },
  kratos: {
    sessions: ["issued_at", "authenticated_at", "token", "logout_token", "aal"],
    selfservice_login_flows: ["request_url", "active_method", "csrf_token", "ui"],
    selfservice_recovery_flows: ["request_url", "active_method", "csrf_token", "recovered_identity_id"],
    continuity_containers: ["identity_id", "payload"],
  },
  "laravel-passport": {
    oauth_access_tokens: ["client_id", "name", "scopes"],
    oauth_refresh_tokens: ["access_token_id"],
    oauth_auth_codes: ["client_id", "scopes"],
  },
  "laravel-sanctum": { personal_access_tokens: ["tokenable_type", "token", "abilities", "last_used_at"] },
  "laravel-sessions": { sessions: ["ip_address", "user_agent", "payload"] },
  mastodon: {
    oauth_access_tokens: [...DOORKEEPER.oauth_access_tokens, "last_used_at", "last_used_ip"],
    oauth_access_grants: DOORKEEPER.oauth_access_grants,
  },
  mattermost: {
    sessions: ["token", "createat", "deviceid", "roles", "props"],
    oauthaccessdata: ["token", "clientid", "redirecturi"],
    oauthauthdata: ["clientid", "code", "redirecturi"],
    tokens: ["token", "type", "extra"],
  },
  nextcloud: { oc_authtoken: ["login_name", "password", "token", "private_key", "public_key"] },
  openiddict: {
    OpenIddictTokens: ["ApplicationId", "AuthorizationId", "ConcurrencyToken", "Payload", "ReferenceId", "Type"],
  },
  "rails-session-store": { sessions: ["session_id", "data"] },
  "spring-authorization-server": {
    oauth2_authorization: [
      "registered_client_id",
      "authorization_grant_type",
      "access_token_value",
      "refresh_token_metadata",
    ],
  },
  "spring-session": {
    spring_session: ["primary_id", "session_id", "creation_time", "last_access_time", "max_inactive_interval"],
  },
  "supabase-auth": {
    refresh_tokens: ["instance_id", "token", "parent", "session_id"],
    sessions: ["factor_id", "aal"],
    saml_relay_states: ["sso_provider_id", "request_id"],
    flow_state: ["auth_code", "code_challenge", "provider_type"],
    mfa_challenges: ["factor_id", "ip_address"],
  },
  "symfony-sessions": { sessions: ["sess_id", "sess_data", "sess_time"] },
  synapse: {
    refresh_tokens: ["device_id", "token", "next_token_id"],
    access_tokens: ["device_id", "token", "last_validated"],
    login_tokens: ["token", "auth_provider_id", "auth_provider_session_id"],
    open_id_tokens: ["token"],
  },
};
