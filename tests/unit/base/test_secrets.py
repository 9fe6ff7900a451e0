"""What is a secret and what is not."""

from rnnbench.base.secrets import redact

ENVIRON = {
    "HF_TOKEN": "hf_abcdef123456", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", "DB_PASSWORD": "short", "HOME": "/srv/homes/me",
    "RAY_AUTH_TOKEN_PATH": "/tmp/x/token", "RAY_AUTH_MODE": "token", "KEYBOARD": "qwertz-layout",
}  # fmt: skip


def test_values_of_secret_variables_go() -> None:
    assert redact("a hf_abcdef123456 b wJalrXUtnFEMI", ENVIRON) == "a *** b ***"


def test_passwords_in_addresses_go_and_the_rest_stays() -> None:
    assert redact("--db postgresql://me:pa55@host:5432/db", {}) == "--db postgresql://me:***@host:5432/db"
    assert redact("sqlite:////a/b.db http://host:80/x@y", {}) == "sqlite:////a/b.db http://host:80/x@y"


def test_what_is_no_secret_stays() -> None:
    text = "the token short /tmp/x/token in /srv/homes/me with qwertz-layout"
    assert redact(text, ENVIRON) == text


def test_a_long_text_takes_no_longer_than_its_length() -> None:
    # Quadratic time would take minutes here, and the test's own limit would end it.
    for text in ("x" * 1_000_000, "://" * 300_000, "http://a:" * 100_000):
        assert redact(text, {}) == text
