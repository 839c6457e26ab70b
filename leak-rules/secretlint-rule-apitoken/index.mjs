// Written by `npm run generate` from the format of tokens. How to use it: docs/leaks.md.
import { crc32 } from "node:zlib";

const TOKEN = /(?<![0-9A-Za-z_])apt_[0-9A-Za-z]{61}(?![0-9A-Za-z_])/g;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function hasChecksum(token) {
  let digits = "";
  for (let rest = crc32(token.slice(0, -6)), place = 0; place < 6; place += 1) {
    digits = ALPHABET.charAt(rest % ALPHABET.length) + digits;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits === token.slice(-6);
}

/** A rule of secretlint that finds tokens of apitoken-operator: those whose checksum is right. */
export const creator = {
  messages: { Token: { en: () => "found an API token of apitoken-operator" } },
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
