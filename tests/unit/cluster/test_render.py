"""Values go into templates as themselves."""

import subprocess
from pathlib import Path

import jinja2
import pytest
from ruamel.yaml import YAML

from rnnbench.base.errors import InputError
from rnnbench.cluster.render import build_environment, quote_word, quote_words, quote_yaml, render
from tests.unit.cluster.jobs import EVIL


def test_every_word_reaches_a_program_as_it_was(tmp_path: Path) -> None:
    script = f"printf '%s\\0' {quote_words(EVIL)}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == EVIL
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [*EVIL, "no", "1e3", "\u00e9\u2028\ufeff", "\x07", "\r\n", 3, 0.5])
def test_every_value_is_read_back_from_yaml_as_it_was(value: object) -> None:
    assert YAML(typ="safe", pure=True).load(f"key: {quote_yaml(value)}\n")["key"] == value


def test_a_nul_is_refused() -> None:
    with pytest.raises(InputError, match="NUL"):
        quote_word("a\0b")


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("ray/job.sh.j2")


def test_a_shells_count_is_no_comment_of_the_template() -> None:
    assert build_environment().from_string('echo "${#names[@]}"').render() == 'echo "${#names[@]}"'
