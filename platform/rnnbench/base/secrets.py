"""Keeping secrets out of what rnnbench writes: ledger, logs, reports, artifacts."""

import re
from collections.abc import Mapping

_NAMES = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL|AUTH", re.IGNORECASE)
# Every repetition is bounded: a long text without addresses must not take long.
_IN_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30}://)(?P<user>[^\s/@:]{0,200}):[^\s/@]{1,1000}@")
# Shorter values (0, yes, local) are words of any text.
MIN_SECRET_CHARS = 6


def redact(text: str, environ: Mapping[str, str]) -> str:
    """The text without passwords in addresses and without the values of environment variables named like secrets."""
    clean = _IN_URL.sub(r"\g<scheme>\g<user>:***@", text)
    for name, value in environ.items():
        if len(value) >= MIN_SECRET_CHARS and _NAMES.search(name) and not value.startswith("/"):
            clean = clean.replace(value, "***")
    return clean
