"""`rnnbench doctor`: what of this machine stands in the way of a sweep, or leaves a door open."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rnnbench.cli.options import CheckpointsOption, HomeOption, JsonOption, home_at, output, print_json

if TYPE_CHECKING:
    from rnnbench.base.home import Home

Check = tuple[str, bool, str]

# Older ones can be made to run foreign code: lightning by a checkpoint, mlflow by a request, ray by whoever reaches its port.
SAFE_VERSIONS = {"lightning": (2, 6, 6), "mlflow": (3, 17, 2), "ray": (2, 60, 0)}
ROOM_GB, SHARED_ROOM_GB = 1.0, 0.1


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor")(doctor)


def doctor(home: HomeOption = None, checkpoints: CheckpointsOption = None, as_json: JsonOption = False) -> None:
    """Check this machine: versions, cores, disk, results folder, store of checkpoints, data, open servers.

    Example: rnnbench doctor
    """
    checks = _checks(home_at(home, checkpoints))
    if as_json:
        print_json([{"check": check, "ok": ok, "finding": finding} for check, ok, finding in checks])
    else:
        for check, ok, finding in checks:
            output().print(f"{'ok     ' if ok else 'PROBLEM'} {check}: {finding}", markup=False, soft_wrap=True)
    if not all(ok for _, ok, _ in checks):
        raise typer.Exit(1)


def _checks(home: "Home") -> list[Check]:
    from importlib.metadata import version

    from rnnbench.base.machine import available_cpus
    from rnnbench.cli.data import data_rows
    from rnnbench.task.sources import data_home

    checks: list[Check] = [("python", sys.version_info >= (3, 11), sys.version.split()[0]), ("cores", True, str(available_cpus()))]
    checks += [check_version(package, version(package)) for package in ("torch", "lightning", "ray", "mlflow", "sqlalchemy")]
    checks += _places(home.path)
    checks += [check_store(home)] if home.store_address else []
    checks.append(check_data_home(data_home(os.environ)))
    checks += [check_ray(dict(os.environ)), check_tracking(os.environ.get("MLFLOW_TRACKING_URI", ""))]
    rows = data_rows()
    found = sum(row["state"] != "missing" for row in rows)
    return [*checks, ("data sets", True, f"{found} of {len(rows)} usable without a download; see rnnbench data list")]


def check_data_home(home: Path) -> Check:
    """Where data sets are kept; one that cannot be written may be shared and full of them, so that is no problem."""
    existing = next((folder for folder in (home, *home.parents) if folder.exists()), Path("/"))
    if existing.is_dir() and os.access(existing, os.W_OK):
        return "data home", True, f"{home} can be written, {shutil.disk_usage(existing).free / 1e9:.1f} GB free"
    return "data home", existing.is_dir(), f"{home} cannot be written: data fetch needs RNNBENCH_DATA to be a folder of your own"


def check_store(home: "Home") -> Check:
    """Whether the store of checkpoints takes what is put there and gives it back."""
    from rnnbench.base.errors import StoreError

    try:
        home.store.check()
    except StoreError as error:
        return "checkpoints", False, str(error)
    return "checkpoints", True, f"{home.store_address} can be written and read"


def check_version(package: str, found: str) -> Check:
    """Whether a package is new enough to be safe."""
    floor = SAFE_VERSIONS.get(package, (0,))
    parts = tuple(int(part) for part in found.split("+", maxsplit=1)[0].split(".")[:3] if part.isdigit())
    wanted = ".".join(map(str, floor))
    return (package, True, found) if parts >= floor else (package, False, f"{found} has known holes: pip install '{package}>={wanted}'")


def check_ray(environ: dict[str, str]) -> Check:
    """Whether the Ray that this environment names asks for a token."""
    from rnnbench.sweep.ray_access import has_token

    address = environ.get("RAY_ADDRESS", "")
    if environ.get("RAY_AUTH_MODE", "").lower() == "disabled":
        return "ray cluster", False, "RAY_AUTH_MODE=disabled: whoever reaches it can run programs on it; unset it"
    if address and not has_token(environ):
        return "ray cluster", False, f"{address}: no token here, so it is open or will refuse; start it with RAY_AUTH_MODE=token"
    return "ray cluster", True, f"{address} with a token" if address else "private, with a token for each run"


def check_tracking(uri: str) -> Check:
    """Whether the tracking server that this environment names lets strangers in."""
    import urllib.error
    import urllib.request

    if not uri.startswith(("http://", "https://")):
        return "tracking server", True, "none named; results go to the home"
    request = urllib.request.Request(f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1")  # noqa: S310 - http or https
    try:
        with urllib.request.urlopen(request, timeout=5):  # noqa: S310
            return "tracking server", False, f"{uri} answers without a password; with one: rnnbench ui --auth, or deploy/compose"
    except urllib.error.HTTPError as error:
        return "tracking server", error.code in (401, 403), f"{uri} answers {error.code} to strangers"
    except (OSError, ValueError) as error:
        return "tracking server", False, f"{uri} does not answer ({error}); sweeps run on, rnnbench sync delivers later"


def _places(home: Path) -> list[Check]:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free_gb = shutil.disk_usage(existing).free / 1e9
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    checks: list[Check] = [("disk", free_gb >= ROOM_GB, f"{free_gb:.1f} GB free for {home}")]
    checks.append(("results", writable, f"{home} can{'' if writable else 'not'} be written"))
    memory = Path("/dev") / "shm"
    if memory.is_dir():
        shared = shutil.disk_usage(memory).free / 1e9
        checks.append(("shared memory", shared > SHARED_ROOM_GB and os.access(memory, os.W_OK), f"{shared:.1f} GB free for Ray"))
    return checks
