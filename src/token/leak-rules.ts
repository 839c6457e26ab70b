/*
 * Rules with which secret scanners find our tokens, generated from the token's format. No program imports this: `npm run generate`
 * writes the files in leak-rules/, and an organisation with a prefix of its own generates its own. Scanners that can compute get the
 * checksum, so that they find nothing else.
 */
import { DEFAULT_PREFIX, exampleToken, LEAK_RULE_ID, TOKEN_FORMAT } from "./token-string.ts";

const { length, checksumLength, alphabet } = TOKEN_FORMAT;

const CHARACTER = "[0-9A-Za-z]";
const CHECKSUM = `${CHARACTER}{${checksumLength}}`;
const DESCRIPTION = "API token of apitoken-operator";
const GENERATED = "Written by `npm run generate` from the format of tokens. How to use it: docs/leaks.md.";

/** A prefix is changed while tokens with the former one still work, so there may be several. */
export type Prefixes = readonly [string, ...string[]];

/** The content of each file in leak-rules/, by its name. It finds tokens with each of these prefixes. */
export function buildLeakRules(prefixes: Prefixes = [DEFAULT_PREFIX]): Record<string, string> {
  const start = prefixes.length === 1 ? `${prefixes[0]}_` : `(?:${prefixes.join("|")})_`;
  const token = `${start}${CHARACTER}{${length}}`;
  const [prefix] = prefixes;
  const gitleaks = gitleaksRule(token, prefixes);
  return {
    "gitleaks.toml": `# ${GENERATED}\n${GITLEAKS_HEAD}\n${gitleaks}`,
    "gitleaks-report.tmpl": GITLEAKS_REPORT,
    "gitleaks-filter.mjs": GITLEAKS_FILTER,
    "kingfisher.yml": kingfisher(`${start}${CHARACTER}{${length - checksumLength}}`, prefix),
    "detect_secrets_apitoken.py": detectSecrets(token),
    "secretlint-rule-apitoken/index.mjs": secretlint(token),
    "secretlint-rule-apitoken/package.json": `${JSON.stringify(SECRETLINT_PACKAGE, null, 2)}\n`,
    "github-custom-pattern.json": `${JSON.stringify(github(token, prefix), null, 2)}\n`,
    "gitlab-secret-detection-ruleset.toml": gitlab(gitleaks),
  };
}

const GITLEAKS_HEAD = `title = "${DESCRIPTION}"

[extend]
useDefault = true
`;

const gitleaksRule = (token: string, prefixes: Prefixes) => `[[rules]]
id = "${LEAK_RULE_ID}"
description = "${DESCRIPTION}"
regex = '''\\b(${token})\\b'''
secretGroup = 1
keywords = [${prefixes.map((prefix) => `"${prefix}_"`).join(", ")}]
tags = ["apitoken"]
`;

/** Makes of gitleaks' findings what a verifier's `/leaks` takes. */
const GITLEAKS_REPORT = `{"tokens":[{{ range $index, $finding := . }}{{ if $index }},{{ end }}{{ quote $finding.Secret }}{{ end }}]}\n`;

/** GitLab's analyzer is gitleaks, which gets this on top of GitLab's own rules. */
const gitlab = (rule: string) => `# ${GENERATED}
[secrets]
description = "GitLab's rules and tokens of apitoken-operator"

[[secrets.passthrough]]
type = "raw"
target = "gitleaks.toml"
value = """
title = "GitLab's rules and tokens of apitoken-operator"

[extend]
path = "/gitleaks.toml"

${rule.replaceAll("\\", "\\\\")}"""
`;

const kingfisher = (body: string, prefix: string) => `# ${GENERATED}
rules:
  - name: ${DESCRIPTION}
    id: apitoken.1
    pattern: |
      (?x)
      \\b
      (?P<TOKEN>
        (?P<BODY>${body})
        (?P<CHECKSUM>${CHECKSUM})
      )
      \\b
    confidence: high
    pattern_requirements:
      checksum:
        actual:
          template: "{{ CHECKSUM }}"
          requires_capture: CHECKSUM
        expected: "{{ BODY | crc32 | base62: ${checksumLength} }}"
        skip_if_missing: false
    examples:
      - "token: ${exampleToken("kingfisher", prefix)}"
`;

const detectSecrets = (token: string) => `"""
${GENERATED}
"""
import re
import zlib

from detect_secrets.plugins.base import RegexBasedDetector

ALPHABET = "${alphabet}"


class ApitokenDetector(RegexBasedDetector):
    """Finds tokens of apitoken-operator: those whose checksum is right."""

    secret_type = "${DESCRIPTION}"
    denylist = [re.compile(r"(?<![0-9A-Za-z_])${token}(?![0-9A-Za-z_])")]

    def analyze_string(self, string):
        return (token for token in super().analyze_string(string) if has_checksum(token))


def has_checksum(token):
    rest = zlib.crc32(token[:-${checksumLength}].encode())
    digits = ""
    for _ in range(${checksumLength}):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits == token[-${checksumLength}:]
`;

/** How a program in JavaScript tells true tokens; it needs node:zlib's crc32. */
const HAS_CHECKSUM = `const ALPHABET = "${alphabet}";

function hasChecksum(token) {
  let digits = "";
  for (let rest = crc32(token.slice(0, -${checksumLength})), place = 0; place < ${checksumLength}; place += 1) {
    digits = ALPHABET.charAt(rest % ALPHABET.length) + digits;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits === token.slice(-${checksumLength});
}`;

/** A regular expression cannot compute a checksum, so this takes out of gitleaks' report what only looks like a token. */
const GITLEAKS_FILTER = `// ${GENERATED}
import { text } from "node:stream/consumers";
import { crc32 } from "node:zlib";

${HAS_CHECKSUM}

const findings = JSON.parse(await text(process.stdin));
const kept = findings.filter(({ RuleID, Secret }) => RuleID !== "${LEAK_RULE_ID}" || hasChecksum(Secret));
// What was found must not be in a job's log as well.
const places = kept.map(({ Secret, Match, Line, ...place }) => place);
console.log(JSON.stringify(places, null, 1));
process.exitCode = kept.length > 0 ? 1 : 0;
`;

const secretlint = (token: string) => `// ${GENERATED}
import { crc32 } from "node:zlib";

const TOKEN = /(?<![0-9A-Za-z_])${token}(?![0-9A-Za-z_])/g;
${HAS_CHECKSUM}

/** A rule of secretlint that finds tokens of apitoken-operator: those whose checksum is right. */
export const creator = {
  messages: { Token: { en: () => "found an ${DESCRIPTION}" } },
  meta: { id: "secretlint-rule-apitoken", recommended: true, type: "scanner", supportedContentTypes: ["text"] },
  create(context) {
    const translate = context.createTranslator(this.messages);
    return {
      file(source) {
        for (const match of source.content.matchAll(TOKEN)) {
          if (!hasChecksum(match[0])) continue;
          const range = [match.index, match.index + match[0].length];
          context.report({ message: translate("Token", {}), range });
        }
      },
    };
  },
};
`;

const SECRETLINT_PACKAGE = {
  name: "secretlint-rule-apitoken",
  version: "1.0.0",
  description: `Finds each ${DESCRIPTION}`,
  private: true,
  type: "module",
  exports: "./index.mjs",
};

/** The fields of the form "New custom pattern". */
const github = (token: string, prefix: string) => ({
  "//": GENERATED,
  "Pattern name": DESCRIPTION,
  "Secret format": token,
  "Before secret": "\\A|[^0-9A-Za-z_]",
  "After secret": "\\z|[^0-9A-Za-z_]",
  "Test string": `token: ${exampleToken("github", prefix)}`,
});
