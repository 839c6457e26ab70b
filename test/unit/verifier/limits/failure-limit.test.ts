import { expect, test } from "vitest";
import { createFailureLimit, guardLookup } from "../../../../src/verifier/limits/failure-limit.ts";
import type { Answer, Lookup } from "../../../../src/verifier/lookup.ts";

/** A limit of three failures a minute, and a clock that the test moves. */
function aLimit() {
  const clock = { ms: 0 };
  return { clock, limit: createFailureLimit({ perMinute: 3 }, () => clock.ms) };
}

test("a client is beyond the limit from its last allowed failure until its minute is over", () => {
  const { clock, limit } = aLimit();
  for (let count = 0; count < 2; count += 1) limit.note("192.0.2.1");
  expect(limit.isOver("192.0.2.1")).toBe(false);
  clock.ms = 59_000;
  limit.note("192.0.2.1");
  expect(limit.isOver("192.0.2.1")).toBe(true);
  expect(limit.isOver("192.0.2.2")).toBe(false);
  expect(limit.clientsOver).toBe(1);
  clock.ms = 60_000;
  expect(limit.isOver("192.0.2.1")).toBe(false);
  expect(limit.clientsOver).toBe(0);
});

test("all addresses of an IPv6 network of 64 bits are one client", () => {
  const { limit } = aLimit();
  for (const address of ["2001:db8::1", "2001:0DB8:0:0:ffff::9", "2001:db8:0:0:1:2:3:4"]) limit.note(address);
  expect(limit.isOver("2001:db8::2")).toBe(true);
  expect(limit.isOver("2001:db8:0:1::2")).toBe(false);
  expect(limit.isOver("::1")).toBe(false);
});

test("with a limit of 0 nobody is beyond it", () => {
  const limit = createFailureLimit({ perMinute: 0 });
  for (let count = 0; count < 1_000; count += 1) limit.note("192.0.2.1");
  expect(limit.isOver("192.0.2.1")).toBe(false);
});

test("however many clients there are, only so many are remembered", () => {
  const { limit } = aLimit();
  for (let client = 0; client < 30_000; client += 1) {
    for (let count = 0; count < 3; count += 1) limit.note(`client-${client}`);
  }
  expect(limit.clientsOver).toBe(20_000);
  expect(limit.isOver("client-29999")).toBe(true);
});

const ADDRESS = "192.0.2.1";

/** Shows tokens from one address, and gets the answers that the test gives. */
function aClient() {
  const { limit } = aLimit();
  const efforts: (string | undefined)[] = [];
  const next: { answer: Answer } = { answer: { kind: "no", why: "Unknown" } };
  const lookup: Lookup = (_token, _request, effort) => {
    efforts.push(effort);
    return next.answer;
  };
  const guarded = guardLookup(lookup, limit);
  const show = (answer: Answer, plaintext = "token") => {
    next.answer = answer;
    return guarded(plaintext, { address: ADDRESS, scopes: [] });
  };
  return { show, efforts };
}

const GOOD = { kind: "yes" } as Answer;
const no = (why: (Answer & { kind: "no" })["why"]): Answer => ({ kind: "no", why });

test.each(["Malformed", "Unknown", "WrongSecret"] as const)(
  "a client that has shown too many tokens that are %s is asked to wait",
  (why) => {
    const { show } = aClient();
    for (let count = 0; count < 3; count += 1) expect(show(no(why))).toEqual(no(why));
    expect(show(no(why))).toEqual(no("TooManyFailures"));
    // Nobody could tell a dead token from a guess otherwise.
    expect(show(no("Revoked"))).toEqual(no("TooManyFailures"));
  },
);

test("what a header cannot hold is a mistake, not a guess", () => {
  const { show } = aClient();
  for (const text of ["", "a, Bearer b", "a:b"]) show(no("Malformed"), text);
  expect(show(no("Malformed"))).toEqual(no("Malformed"));
});

test("a good token is good, whatever others have done from the same address", () => {
  const { show, efforts } = aClient();
  for (let count = 0; count < 10; count += 1) show(no("Unknown"));
  expect(show(GOOD)).toBe(GOOD);
  expect(show(no("ScopeMissing"))).toEqual(no("ScopeMissing"));
  expect(efforts.at(0)).toBe("usual");
  expect(efforts.at(-1)).toBe("sparing");
});

test("dead tokens do not count as failures, and neither does what the verifier does not know", () => {
  const { show } = aClient();
  for (let count = 0; count < 10; count += 1) {
    show(no("Expired"));
    show({ kind: "unknown", why: "DatabaseUnavailable" });
  }
  expect(show(no("Unknown"))).toEqual(no("Unknown"));
});
