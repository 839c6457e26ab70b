import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildLeakRules } from "../../../src/token/leak-rules.ts";
import {
  createToken,
  hideTokens,
  ID_END,
  ID_START,
  isTokenPrefix,
  LONGEST_TOKEN,
  parseTokenId,
} from "../../../src/token/token-string.ts";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Created outside of this program: CRC-32 with zlib, base62 by hand. The second checksum starts with a zero. */
const KNOWN = [
  "apt_GoldenId001335vxT1aecT5UVC5RHbM3Pe5tp8UtnqjhVeeVa02aPDY1u6LzE",
  "apt_GoldenId00122rAqvm2hjyqHMt2W0dTSnpZlxYw6NPYIQ1Uqi3admBP0vOSzt",
];

/** The same for prefixes that organisations may have chosen: the shortest and the longest too. */
const KNOWN_OF_OTHERS = [
  "acme_GoldenId0013UrkpV03PVchVgXme2M6dpIihgYydUhimH9dZugl6CwR0irznU",
  "a1_GoldenId0013wBWfHmmM5ZDsf5KbN53QbaoTyQ5myOyhlrsEAkTko8y47aHH0",
  "organisation1234_GoldenId0013g8PUbsYy7QrQFSUusFpVLs3HXFx4OtbAQuugZ2GnhFv1pUzlH",
];

const aPrefix = fc.stringMatching(/^[a-z][a-z0-9]{1,15}$/);

describe("a token string", () => {
  test("is a prefix, an id, a secret and a checksum, and names its id", () => {
    const { id, plaintext } = createToken();
    expect(plaintext).toMatch(/^apt_[0-9A-Za-z]{61}$/);
    expect(plaintext.slice(4, 16)).toBe(id);
    expect(parseTokenId(plaintext)).toBe(id);
  });

  test.each(KNOWN)("%s is valid in every release, because Secrets outlive releases", (plaintext) => {
    expect(parseTokenId(plaintext)).toBe(plaintext.slice(4, 16));
  });

  test.each(KNOWN_OF_OTHERS)("%s is valid too: any installation may have any prefix", (plaintext) => {
    expect(parseTokenId(plaintext)).toBe("GoldenId0013");
  });

  test("is different every time", () => {
    const tokens = Array.from({ length: 1_000 }, () => createToken());
    expect(new Set(tokens.map((token) => token.id)).size).toBe(1_000);
    expect(new Set(tokens.map((token) => token.plaintext.slice(16, 59))).size).toBe(1_000);
  });

  test("varies in every character of id and secret", () => {
    const tokens = Array.from({ length: 1_000 }, () => createToken().plaintext);
    for (let index = 4; index < 59; index += 1) {
      expect(new Set(tokens.map((plaintext) => plaintext[index])).size, `at ${index}`).toBeGreaterThan(50);
    }
  });

  test("with any one character changed is refused", () => {
    for (const plaintext of [...KNOWN, ...KNOWN_OF_OTHERS, createToken().plaintext]) {
      for (let index = 0; index < plaintext.length; index += 1) {
        for (const other of `${ALPHABET}-_ \né`) {
          const changed = plaintext.slice(0, index) + other + plaintext.slice(index + 1);
          if (changed !== plaintext) expect(parseTokenId(changed), changed).toBeUndefined();
        }
      }
    }
  });

  test("with two neighbours swapped is refused", () => {
    const { plaintext } = createToken();
    for (let index = 0; index + 1 < plaintext.length; index += 1) {
      const [left = "", right = ""] = plaintext.slice(index, index + 2);
      const swapped = plaintext.slice(0, index) + right + left + plaintext.slice(index + 2);
      if (left !== right) expect(parseTokenId(swapped), swapped).toBeUndefined();
    }
  });

  test.each([
    ["something before it", (plaintext: string) => `x${plaintext}`],
    ["a line before it", (plaintext: string) => `\n${plaintext}`],
    ["something after it", (plaintext: string) => `${plaintext}0`],
    ["a line break after it", (plaintext: string) => `${plaintext}\n`],
    ["its last character missing", (plaintext: string) => plaintext.slice(0, -1)],
    ["its last character twice", (plaintext: string) => plaintext.replace(/(.)$/, "$1$1")],
  ])("with %s is refused", (_, change) => {
    for (const plaintext of [...KNOWN, ...KNOWN_OF_OTHERS]) expect(parseTokenId(change(plaintext))).toBeUndefined();
  });

  test.each(["", "apt_", "apt_short", `apt_${"0".repeat(61)}`, "Bearer token"])("%j is not a token string", (text) => {
    expect(parseTokenId(text)).toBeUndefined();
  });

  test("no other text is a token string, or makes the parser throw", () => {
    fc.assert(fc.property(fc.string(), (text) => parseTokenId(text) === undefined));
    const sameShape = fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 61, maxLength: 61 });
    fc.assert(fc.property(sameShape, (text) => parseTokenId(`apt_${text}`) === undefined));
  });
});

describe("with any prefix that an installation may have", () => {
  test("a token names its id, from the end, and is refused with another prefix", () => {
    fc.assert(
      fc.property(aPrefix, aPrefix, (prefix, other) => {
        const { id, plaintext } = createToken(prefix);
        expect(plaintext.slice(0, prefix.length + 1)).toBe(`${prefix}_`);
        expect(plaintext).toHaveLength(prefix.length + 62);
        expect(parseTokenId(plaintext)).toBe(id);
        expect(plaintext.slice(ID_START, ID_END)).toBe(id);
        expect(plaintext.length).toBeLessThanOrEqual(LONGEST_TOKEN);
        const swapped = other + plaintext.slice(prefix.length);
        expect(parseTokenId(swapped)).toBe(other === prefix ? id : undefined);
      }),
    );
  });

  test("nothing but the id is left of a token in a text, even if it is cut", () => {
    fc.assert(
      fc.property(aPrefix, fc.nat(41), (prefix, cut) => {
        const { id, plaintext } = createToken(prefix);
        const shown = plaintext.slice(0, plaintext.length - cut);
        expect(hideTokens(`the Secret holds "${shown}".`)).toBe(`the Secret holds "${prefix}_${id}…".`);
      }),
    );
  });

  test("the rules for scanners find its tokens, and not those of another installation", () => {
    fc.assert(
      fc.property(aPrefix, aPrefix, (prefix, other) => {
        const rule = buildLeakRules([prefix])["detect_secrets_apitoken.py"] ?? "";
        const pattern = new RegExp(/re\.compile\(r"(.*)"\)/.exec(rule)?.[1] ?? "");
        const { plaintext } = createToken(prefix);
        expect(pattern.exec(`token: ${plaintext}\n`)?.[0]).toBe(plaintext);
        expect(pattern.test(createToken(other).plaintext)).toBe(other === prefix);
      }),
    );
  });
});

test.each(["ab", "apt", "a1", "organisation1234"])("%j may be a prefix", (text) => {
  expect(isTokenPrefix(text)).toBe(true);
});

test.each(["", "a", "1a", "Apt", "apt_", "a_b", "a-b", "apt\n", "organisation12345", "ápt", ".*"])(
  "%j may not be a prefix",
  (text) => {
    expect(isTokenPrefix(text)).toBe(false);
  },
);
