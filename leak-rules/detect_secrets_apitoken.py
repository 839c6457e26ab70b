"""
Written by `npm run generate` from the format of tokens. How to use it: docs/leaks.md.
"""
import re
import zlib

from detect_secrets.plugins.base import RegexBasedDetector

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class ApitokenDetector(RegexBasedDetector):
    """Finds tokens of apitoken-operator: those whose checksum is right."""

    secret_type = "API token of apitoken-operator"
    denylist = [re.compile(r"(?<![0-9A-Za-z_])apt_[0-9A-Za-z]{61}(?![0-9A-Za-z_])")]

    def analyze_string(self, string):
        return (token for token in super().analyze_string(string) if has_checksum(token))


def has_checksum(token):
    rest = zlib.crc32(token[:-6].encode())
    digits = ""
    for _ in range(6):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits == token[-6:]
