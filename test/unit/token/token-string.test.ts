import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createToken, parseTokenId } from "../../../src/token/token-string.ts";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Created outside of this program: CRC-32 with zlib, base62 by hand. The second checksum starts with a zero. */
const KNOWN = [
  "apt_GoldenId001335vxT1aecT5UVC5RHbM3Pe5tp8UtnqjhVeeVa02aPDY1u6LzE",
  "apt_GoldenId00122rAqvm2hjyqHMt2W0dTSnpZlxYw6NPYIQ1Uqi3admBP0vOSzt",
];

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

  test("is different every time", () => {
    const tokens = Array.from({ length: 1_000 }, createToken);
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
    for (const plaintext of [...KNOWN, createToken().plaintext]) {
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
    for (const plaintext of KNOWN) expect(parseTokenId(change(plaintext))).toBeUndefined();
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
