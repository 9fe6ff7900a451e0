"""Job files from the templates of deploy/: every value goes in quoted for the place where it stands."""

import json
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.base.errors import InputError

if TYPE_CHECKING:
    import jinja2

PACKAGE = "rnnbench_deploy"


def render(template: str, **values: Any) -> str:
    """The text of a template below deploy/, such as `slurm/single.sh.j2`; a value that is missing is an error."""
    return build_environment().get_template(template).render(values)


def build_environment() -> "jinja2.Environment":
    """The templates, with the filters `sh` (one word of a shell), `words` (several) and `yaml` (any plain value)."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - shell and YAML, not HTML: each value is quoted by its filter
        loader=jinja2.FileSystemLoader(str(files(PACKAGE))),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="{##",  # "{#" is how a shell counts: ${#names[@]}
        comment_end_string="##}",
    )
    environment.filters |= {"sh": quote_word, "words": quote_words, "yaml": quote_yaml}
    return environment


def quote_word(value: object) -> str:
    """One word of a shell, whatever characters it has.

    Raises:
        InputError: it holds a NUL, which no argument of a program can.
    """
    if "\0" in str(value):
        raise InputError("a NUL character cannot stand in a job's script")
    return shlex.quote(str(value))


def quote_words(values: Sequence[object]) -> str:
    """Several words of a shell."""
    return " ".join(map(quote_word, values))


def quote_yaml(value: object) -> str:
    """A plain value as YAML (of which JSON in ASCII is a part), on one line."""
    return json.dumps(str(value) if isinstance(value, Path) else value)
