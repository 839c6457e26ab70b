import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildLeakRules } from "../../../src/token/leak-rules.ts";
import { createToken, type NewToken, parseTokenId } from "../../../src/token/token-string.ts";
import {
  hasLeakTools,
  pathOfRules,
  scanWithDetectSecrets,
  scanWithGitleaks,
  scanWithGitleaksAlone,
  scanWithKingfisher,
  scanWithSecretlint,
  withFiles,
} from "../../support/leaks.ts";

/** Where a token may be, and what only looks like one. */
const buildFiles = ({ id, plaintext }: NewToken) => ({
  "true.txt": `ORDERS_TOKEN=${plaintext}\n`,
  "manifest.yaml": `apiVersion: v1\nkind: Secret\nstringData:\n  token: ${plaintext}\n`,
  "url.txt": `curl 'https://orders.example.com/orders?access_token=${plaintext}&page=2'\n`,
  "wrong-checksum.txt": `ORDERS_TOKEN=${plaintext.slice(0, -1) + (plaintext.endsWith("A") ? "B" : "A")}\n`,
  "cut.txt": `ORDERS_TOKEN=${plaintext.slice(0, -3)}\n`,
  "longer.txt": `ORDERS_TOKEN=${plaintext}x\n`,
  "id.txt": `token ${id} of shop/orders\n`,
});
const FILES = buildFiles(createToken());
const TRUE_TOKENS = ["manifest.yaml", "true.txt", "url.txt"];

describe("leak-rules/", () => {
  test("is what `npm run generate` writes, and nothing else", () => {
    const files = readdirSync(pathOfRules(""), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name));
    const written = files.map((file) => [file.slice(pathOfRules("").length), readFileSync(file, "utf8")]);
    expect(Object.fromEntries(written)).toEqual(buildLeakRules());
  });

  test("shows no token that could ever have been issued by chance, and only well-formed ones", () => {
    const shown = Object.values(buildLeakRules()).flatMap((text) => text.match(/apt_[0-9A-Za-z]{61}/g) ?? []);
    expect(shown.map(parseTokenId)).toEqual(["Example00000", "Example00000"]);
  });
});

describe.skipIf(!hasLeakTools)("finds exactly the true tokens:", () => {
  test.each([
    ["kingfisher", scanWithKingfisher],
    ["detect-secrets", scanWithDetectSecrets],
    ["secretlint", scanWithSecretlint],
    ["gitleaks, with the filter behind it", scanWithGitleaks],
  ] as const)("%s", async (_, scan) => {
    expect((await withFiles(FILES, scan)).sort()).toEqual(TRUE_TOKENS);
  });
});

describe.skipIf(!hasLeakTools)("finds every true token, and what differs from one in the checksum only:", () => {
  test("gitleaks alone", async () => {
    const found = await withFiles(FILES, (folder) => scanWithGitleaksAlone(folder));
    expect(found.sort()).toEqual([...TRUE_TOKENS, "wrong-checksum.txt"]);
  });

  test("gitleaks with what GitLab hands to it", async () => {
    const ruleset = buildLeakRules()["gitlab-secret-detection-ruleset.toml"] ?? "";
    const value = (/^value = """\n(.*)"""$/ms.exec(ruleset)?.[1] ?? "").replaceAll("\\\\", "\\");
    // GitLab's own rules are in its container; those of gitleaks take their place.
    const config = value.replace('path = "/gitleaks.toml"', "useDefault = true");
    expect(config).not.toBe(value);
    const found = await withFiles({ "gitleaks.toml": config }, (rules) =>
      withFiles(FILES, (folder) => scanWithGitleaksAlone(folder, rules)),
    );
    expect(found.sort()).toEqual([...TRUE_TOKENS, "wrong-checksum.txt"]);
  });
});

describe.skipIf(!hasLeakTools)("with rules for an organisation's prefix", () => {
  const files = {
    ...buildFiles(createToken("acme")),
    "others.txt": FILES["true.txt"],
    "url-of-others.txt": FILES["url.txt"],
    "prefixed.txt": `ORDERS_TOKEN=acme_${createToken().plaintext}\n`,
  };

  const SCANNERS = [
    ["kingfisher", scanWithKingfisher],
    ["detect-secrets", scanWithDetectSecrets],
    ["secretlint", scanWithSecretlint],
    ["gitleaks with its filter", scanWithGitleaks],
  ] as const;

  test.each(SCANNERS)("%s finds its tokens only", async (_, scan) => {
    const found = await withFiles(buildLeakRules(["acme"]), (rules) =>
      withFiles(files, (folder) => scan(folder, rules)),
    );
    expect(found.sort()).toEqual(TRUE_TOKENS);
  });

  test.each(SCANNERS)("%s finds those with the former prefix too, while there are some", async (_, scan) => {
    const found = await withFiles(buildLeakRules(["acme", "apt"]), (rules) =>
      withFiles(files, (folder) => scan(folder, rules)),
    );
    expect(found.sort()).toEqual([...TRUE_TOKENS, "others.txt", "url-of-others.txt"].sort());
  });
});

// GitHub's scanner cannot be had; its expressions are read as JavaScript reads them.
test("the pattern for GitHub matches every true token, and its own test string", () => {
  const form = JSON.parse(buildLeakRules()["github-custom-pattern.json"] ?? "") as Record<string, string>;
  const part = (name: string) => (form[name] ?? "").replace("\\A", "^").replace("\\z", "$");
  const pattern = new RegExp(`(?:${part("Before secret")})(${part("Secret format")})(?:${part("After secret")})`);
  const found = Object.entries(FILES).flatMap(([file, text]) => (pattern.test(text) ? [file] : []));
  expect(found.sort()).toEqual([...TRUE_TOKENS, "wrong-checksum.txt"]);
  expect(pattern.exec(form["Test string"] ?? "")?.[1]).toSatisfy((token) => parseTokenId(String(token)) !== undefined);
});
