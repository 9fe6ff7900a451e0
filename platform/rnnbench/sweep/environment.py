"""What a sweep ran on: versions, machine, code revision, command. Nothing of the environment's variables."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rnnbench.base.canonical import Plain
from rnnbench.base.secrets import redact
from rnnbench.base.version import __version__

_PACKAGES = ("torch", "lightning", "ray", "mlflow", "sqlalchemy", "numpy", "scipy", "scikit-learn", "pydantic")


def utc_now() -> datetime:
    """Now, with its time zone."""
    return datetime.now(UTC)


def environment(arguments: Sequence[str]) -> dict[str, Plain]:
    """Plain data that the report prints so that a person can repeat the sweep."""
    return {
        "rnnbench": __version__,
        "revision": _revision(),
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "system": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "command": redact(" ".join(["rnnbench", *arguments[1:]]), os.environ),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    run = subprocess.run(["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or None
