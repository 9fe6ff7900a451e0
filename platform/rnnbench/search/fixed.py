"""One configuration as a sweep file: everything fixed, so that running it repeats that configuration with seeds of its own."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from rnnbench.base.canonical import Plain
from rnnbench.search.space import full_parameters
from rnnbench.search.sweepfile import list_choices
from rnnbench.trial.spec import TrialSpec


def fixed_sweep(spec: TrialSpec, settings: Mapping[str, Plain], name: str, replicates: int, comment: str) -> str:
    """The text of a sweep file that trains one configuration `replicates` times.

    Args:
        settings: Of the sweep that the trial is from, see `SweepFile.settings`: it knows where a person's own data are.
        comment: Lines for the top of the file.
    """
    budget: dict[str, Any] = {"max_epochs": spec.budget.max_epochs}
    if spec.budget.patience is not None:
        budget["patience"] = spec.budget.patience
    content = CommentedMap(
        {
            "name": name,
            "task": {"name": spec.task, "data": list_choices(settings)[spec.task, spec.data]},
            "cells": [spec.cell],
            "search": {"method": "random", "num_samples": 1, "seed": 0},
            "budget": budget,
            "replicates": replicates,
            "space": dict(sorted(full_parameters(spec.task, spec.cell, spec.parameters).items())),
        }
    )
    for key in ("task", "cells", "search", "budget"):
        _flow(content, key)
    content.yaml_set_start_comment(comment)
    yaml = YAML()
    yaml.width = 4096
    text = StringIO()
    yaml.dump(content, text)
    return text.getvalue()


def _flow(content: CommentedMap, key: str) -> None:
    """Writes a value on one line."""
    value = CommentedSeq(content[key]) if isinstance(content[key], list) else CommentedMap(content[key])
    value.fa.set_flow_style()
    content[key] = value
