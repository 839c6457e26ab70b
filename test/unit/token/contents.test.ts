import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type ContentsSubject, contentKeys, renderContents, sealContents } from "../../../src/token/contents.ts";
import type { DesiredSecret } from "../../../src/token/model.ts";
import { aDesiredSecret, NOW } from "../../support/builders.ts";

const SUBJECT: ContentsSubject = { id: "tokenOne0001", owner: "alice", expiresAt: NOW };
const TOKEN = "apt_plaintext";
const PEPPER = { id: "p1", secret: createSecretKey(randomBytes(32)) };

const render = (secret: Partial<DesiredSecret>, subject: Partial<ContentsSubject> = {}, plaintext = TOKEN) =>
  renderContents(aDesiredSecret(secret), { ...SUBJECT, ...subject }, plaintext);

describe("a Secret's values", () => {
  test("are only the token, under its key", () => {
    expect(render({})).toEqual({ token: TOKEN });
    expect(render({ key: "password" })).toEqual({ password: TOKEN });
  });

  test.each([
    ["Bearer ${token}", `Bearer ${TOKEN}`],
    ["machine api login ${owner} password ${token}\n", `machine api login alice password ${TOKEN}\n`],
    ["${tokenId}/${expiresAt}", "tokenOne0001/2026-06-01T12:00:00Z"],
    ["${token}${token}", `${TOKEN}${TOKEN}`],
    ["plain", "plain"],
    ["", ""],
    ["$token ${unknown} ${ token } $${owner} ${}", "$token ${unknown} ${ token } $alice ${}"],
    ["${constructor} ${toString} ${__proto__}", "${constructor} ${toString} ${__proto__}"],
  ])("are templates with their variables filled in: %j", (template, value) => {
    expect(render({ data: { extra: template } })).toEqual({ token: TOKEN, extra: value });
  });

  test("are filled in once: inserted text is neither a template nor a pattern", () => {
    const data = { extra: "${owner}|${token}" };
    expect(render({ data }, { owner: "${token}" }, "$& $1 ${owner}").extra).toBe("${token}|$& $1 ${owner}");
  });

  test("have the token under its key, even if data uses the same key", () => {
    expect(render({ data: { token: "not the token" } })).toEqual({ token: TOKEN });
    expect(contentKeys(aDesiredSecret({ data: { token: "x", extra: "y" } }))).toEqual(["token", "extra"]);
  });

  test.each([{}, { header: "Bearer ${token}" }, { "a.b": "1", c: "2" }])(
    "are under the keys that it has: %j",
    (data) => {
      expect(contentKeys(aDesiredSecret({ data })).sort()).toEqual(Object.keys(render({ data })).sort());
    },
  );
});

describe("the seal of a Secret's values", () => {
  const data = { header: "Bearer ${token}", who: "${owner}" };
  const fingerprint = (value: string) => createHmac("sha256", PEPPER.secret).update(value).digest();
  const seal = (
    secret: Partial<DesiredSecret> = {},
    subject: Partial<ContentsSubject> = {},
    { values = {}, pepper = PEPPER }: { values?: Record<string, string>; pepper?: typeof PEPPER } = {},
  ) => {
    const whole = aDesiredSecret({ data, ...secret });
    const contents = { ...renderContents(whole, { ...SUBJECT, ...subject }, TOKEN), ...values };
    const fingerprints = Object.fromEntries(Object.entries(contents).map(([key, value]) => [key, fingerprint(value)]));
    return sealContents(whole, { ...SUBJECT, ...subject }, fingerprints, pepper);
  };

  test("is the same for the same values in any order", () => {
    expect(seal()).toBe(seal());
    expect(seal({ data: { who: data.who, header: data.header } })).toBe(seal());
    const wanted = aDesiredSecret({ data });
    const values = Object.entries(renderContents(wanted, SUBJECT, TOKEN)).reverse();
    const fingerprints = Object.fromEntries(values.map(([key, value]) => [key, fingerprint(value)]));
    expect(sealContents(wanted, SUBJECT, fingerprints, PEPPER)).toBe(seal());
  });

  test("is not needed without templates", () => {
    expect(seal({ data: {} })).toBeUndefined();
  });

  test.each<[string, string | undefined]>([
    ["another template", seal({ data: { ...data, who: "${tokenId}" } })],
    ["one template more", seal({ data: { ...data, more: "" } })],
    ["one template less", seal({ data: { header: data.header } })],
    ["another key of the token", seal({ key: "password" })],
    ["another end", seal({}, { expiresAt: new Date(NOW.getTime() + 1_000) })],
    ["another owner", seal({}, { owner: "bob" })],
    ["another token", seal({}, { id: "tokenTwo0002" })],
    ["an edited value", seal({}, {}, { values: { header: "Bearer edited" } })],
    ["a value more", seal({}, {}, { values: { more: "edited" } })],
    ["another pepper", seal({}, {}, { pepper: { id: "p2", secret: createSecretKey(randomBytes(32)) } })],
  ])("differs for %s", (_, other) => {
    expect(other).toBeDefined();
    expect(other).not.toBe(seal());
  });

  test("reveals nothing of the token", () => {
    expect(seal()).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(Buffer.from(seal() ?? "", "base64")).not.toEqual(fingerprint(TOKEN));
  });
});
