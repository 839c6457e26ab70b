import { expect, test } from "vitest";
import { readControllerConfig } from "../../../src/controller/config.ts";
import { DEFAULT_DENIED_KEYS } from "../../../src/token/denied-keys.ts";

const DATABASE_URL = "postgres://controller:secret@db/tokens";
const read = (settings: Record<string, string>) => readControllerConfig({ DATABASE_URL, ...settings });

test("DATABASE_URL alone is enough", () => {
  expect(read({})).toMatchObject({
    databaseLogin: { url: DATABASE_URL, passwordFile: undefined },
    watchedNamespaces: [],
    keyringPlace: { namespace: "apitoken-system", name: "apitoken-keyring" },
    keyringReloadMs: 30_000,
    tokenPrefix: "apt",
    hashMethod: { algorithm: "hmac-sha256" },
    lease: {
      namespace: "apitoken-system",
      name: "apitoken-controller",
      leaseDurationMs: 15_000,
      renewDeadlineMs: 10_000,
      retryPeriodMs: 2_000,
    },
  });
});

test("the longest and the shortest lease are accepted", () => {
  const longest = { APITOKEN_LEASE_DURATION: "1h", APITOKEN_LEASE_RENEW_DEADLINE: "59m" };
  expect(read(longest)).toMatchObject({ lease: { leaseDurationMs: 3_600_000 } });
  const shortest = {
    APITOKEN_LEASE_DURATION: "1100ms",
    APITOKEN_LEASE_RENEW_DEADLINE: "1s",
    APITOKEN_LEASE_RETRY_PERIOD: "100ms",
  };
  expect(read(shortest)).toMatchObject({ lease: { renewDeadlineMs: 1_000, retryPeriodMs: 100 } });
});

test("namespaces that are named twice are watched once", () => {
  expect(read({ APITOKEN_WATCH_NAMESPACES: " shop, team-1,shop" }).watchedNamespaces).toEqual(["shop", "team-1"]);
});

test("the prefix of new tokens may be the organisation's", () => {
  expect(read({ APITOKEN_PREFIX: "acme" }).tokenPrefix).toBe("acme");
});

test("denied keys are the built-in ones, which a list may extend, replace or drop", () => {
  const deniedKeys = (APITOKEN_DENIED_SECRET_KEYS: string) => read({ APITOKEN_DENIED_SECRET_KEYS }).deniedKeys;
  expect(read({}).deniedKeys).toEqual(DEFAULT_DENIED_KEYS);
  expect(deniedKeys("default, example.com/*")).toEqual([...DEFAULT_DENIED_KEYS, "example.com/*"]);
  expect(deniedKeys("label:owner=helm,data:config.json")).toEqual(["label:owner=helm", "data:config.json"]);
  expect(deniedKeys("none")).toEqual([]);
});

test.each([
  [{ APITOKEN_DENIED_SECRET_KEYS: "a b" }, '"a b" is not a key: write it like example.com/*, label:team'],
  [{ APITOKEN_DENIED_SECRET_KEYS: "secret:x" }, '"secret:x" is not a key'],
  [{ APITOKEN_LEASE_RETRY_PERIOD: "0s" }, 'APITOKEN_LEASE_RETRY_PERIOD is "0s": must be from 100ms to 1h'],
  [{ APITOKEN_LEASE_DURATION: "1000h" }, 'APITOKEN_LEASE_DURATION is "1000h": must be from 1s to 1h'],
  [{ APITOKEN_LEASE_RENEW_DEADLINE: "999ms" }, 'APITOKEN_LEASE_RENEW_DEADLINE is "999ms": must be from 1s to 1h'],
  [{ APITOKEN_LEASE_DURATION: "soon" }, '"soon" is not a duration'],
  [
    { APITOKEN_LEASE_DURATION: "5s" },
    "APITOKEN_LEASE_DURATION=5s is not longer than the default 10s of APITOKEN_LEASE_RENEW_DEADLINE, " +
      "so two controllers could lead at once; set APITOKEN_LEASE_RENEW_DEADLINE too",
  ],
  [
    { APITOKEN_LEASE_RENEW_DEADLINE: "20s" },
    "the default 15s of APITOKEN_LEASE_DURATION is not longer than APITOKEN_LEASE_RENEW_DEADLINE=20s",
  ],
  [
    { APITOKEN_LEASE_DURATION: "5s", APITOKEN_LEASE_RENEW_DEADLINE: "5s", APITOKEN_LEASE_RETRY_PERIOD: "6s" },
    "APITOKEN_LEASE_DURATION=5s is not longer than APITOKEN_LEASE_RENEW_DEADLINE=5s, so two controllers could lead at " +
      "once\nAPITOKEN_LEASE_RENEW_DEADLINE=5s is not longer than APITOKEN_LEASE_RETRY_PERIOD=6s, so the lease would be " +
      "lost before it is renewed",
  ],
  [{ APITOKEN_NAMESPACE: "Apitoken_System" }, 'APITOKEN_NAMESPACE is "Apitoken_System": must be 1 to 63 lower-case'],
  [{ APITOKEN_NAMESPACE: "../../etc" }, 'APITOKEN_NAMESPACE is "../../etc": must be 1 to 63 lower-case'],
  [{ APITOKEN_NAMESPACE: "a".repeat(64) }, "must be 1 to 63 lower-case letters"],
  [{ APITOKEN_LEASE_NAME: "a/b" }, 'APITOKEN_LEASE_NAME is "a/b": must be 1 to 253 lower-case'],
  [{ APITOKEN_LEASE_NAME: "a..b" }, 'APITOKEN_LEASE_NAME is "a..b": must be 1 to 253 lower-case'],
  [{ APITOKEN_LEASE_NAME: "a".repeat(254) }, "must be 1 to 253 lower-case"],
  [{ APITOKEN_KEYRING_SECRET: "-keyring" }, 'APITOKEN_KEYRING_SECRET is "-keyring": must be 1 to 253 lower-case'],
  [
    { APITOKEN_WATCH_NAMESPACES: "shop,team_1" },
    'APITOKEN_WATCH_NAMESPACES is "shop,team_1": "team_1" is not a namespace: it must be 1 to 63 lower-case',
  ],
  [
    { APITOKEN_PREFIX: "Acme" },
    'APITOKEN_PREFIX is "Acme": must be 2 to 16 lower-case letters and digits, and begin with a letter',
  ],
  [{ APITOKEN_PREFIX: "acme_" }, 'APITOKEN_PREFIX is "acme_": must be 2 to 16 lower-case letters and digits'],
  [{ APITOKEN_WATCH_NAMESPACES: " , " }, 'APITOKEN_WATCH_NAMESPACES is " , ": names no namespace; leave it out'],
])("%j is refused", (settings, message) => {
  expect(() => read(settings)).toThrow(message);
});
