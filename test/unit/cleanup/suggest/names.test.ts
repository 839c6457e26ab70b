import { expect, test } from "vitest";
import { findRole, findTokenWord, isPlainExpiry } from "../../../../src/cleanup/suggest/names.ts";

const TZ = "timestamp with time zone";

test.each([
  ["expires_at", TZ, "expiry"],
  ["expiresAt", TZ, "expiry"],
  ["ExpirationTime", TZ, "expiry"],
  ["exp", "bigint", "expiry"],
  ["expiry", "timestamp without time zone", "expiry"],
  ["expire_date", TZ, "expiry"],
  ["valid_until", "date", "expiry"],
  ["not_after", TZ, "expiry"],
  ["refresh_token_expires_at", TZ, "expiry"],
  ["expires_at", "text", undefined],
  ["EXPIRING_AT", TZ, "expiry"],
  ["expiresat", "bigint", "expiry"],
  ["expirydate", "date", "expiry"],
  ["expiresAtUTC", TZ, "expiry"],
  ["expired_at", TZ, "expiry"],
  ["ttl", TZ, "expiry"],
  ["ttl", "integer", "seconds"],
  ["createdat", TZ, "created"],
  ["created_time", TZ, "created"],
  ["created_by", "bigint", undefined],
  ["exported", TZ, undefined],
  ["expires_in", "integer", "seconds"],
  ["expiry_notified_at", TZ, undefined],
  ["exported_at", TZ, undefined],
  ["revoked_at", TZ, "revocation"],
  ["revoked", TZ, "revocation"],
  ["revoked", "boolean", "flag"],
  ["last_activity", "integer", "idle"],
  ["last_session_refresh", "integer", "idle"],
  ["created_at", TZ, "created"],
  ["used_at", TZ, undefined],
])("a column %s of type %s is: %s", (name, type, role) => {
  expect(findRole({ name, type })).toBe(role);
});

test.each([
  ["sessions", "session"],
  ["UserSessions", "session"],
  ["refreshtokens", "token"],
  ["authorization_code", "code"],
  ["password_reset", "reset"],
  ["token_types", undefined],
  ["session_history", undefined],
  ["barcodes", undefined],
  ["accounts", undefined],
  ["subscriptions", undefined],
])("the word of a table %s is: %s", (table, word) => {
  expect(findTokenWord(table)).toBe(word);
});

test("only an expiry with nothing before its own words is plain", () => {
  expect(["expires_at", "validUntil", "token_expires_at", "refreshTokenExpiresAt"].map(isPlainExpiry)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});
