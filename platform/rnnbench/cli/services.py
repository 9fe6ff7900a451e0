"""`rnnbench ui | sync | doctor`: what stands around the sweeps."""

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from rnnbench.cli.options import DbOption, HomeOption, JsonOption, TrackingOption, home_at, open_ledger, output, people, print_json

_MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("ui")(ui)
    app.command("sync")(sync)
    app.command("doctor")(doctor)


def ui(
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    port: Annotated[int, typer.Option(help="Port on this machine; 0 takes a free one.")] = 5000,
) -> None:
    """Open MLflow on the results, on this machine only; Ctrl-C ends it.

    Example: rnnbench ui --port 5001
    """
    from rnnbench.base.errors import InputError

    place = home_at(home)
    uri = tracking_uri or place.tracking_uri
    if uri == place.tracking_uri and not (place.path / "mlflow.db").exists():
        raise InputError(f"no MLflow data in {place.path} yet; run a sweep first, or rnnbench sync")
    chosen = _free_port(port)
    people().print(f"MLflow on http://127.0.0.1:{chosen}  (Ctrl-C ends it)", markup=False)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--default-artifact-root", str(place.artifacts)]
    command += ["--host", "127.0.0.1", "--port", str(chosen), "--workers", "1"]
    command += ["--allowed-hosts", f"127.0.0.1:{chosen},localhost:{chosen}"]
    sys.stderr.flush()
    # The server takes this process's place, so a signal to it ends the server and nothing is left behind.
    os.execve(sys.executable, command, {**os.environ, **_MLFLOW_ENVIRONMENT})  # noqa: S606 - no shell, and our own arguments


def sync(home: HomeOption = None, db: DbOption = None, tracking_uri: TrackingOption = None) -> None:
    """Deliver to MLflow what it has not taken yet; each event once in effect.

    Example: rnnbench sync
    """
    from rnnbench.sweep.mirror import Mirror

    place = home_at(home)
    with open_ledger(place, db):
        pass
    mirror = Mirror(db or place.ledger_url, tracking_uri or place.tracking_uri, artifact_root=place.artifacts)
    output().print(f"{mirror.deliver_all()} events delivered", markup=False)


def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check this machine: versions, cores, disk, data, results folder.

    Example: rnnbench doctor
    """
    checks = _checks(home)
    if as_json:
        print_json([{"check": check, "ok": ok, "finding": finding} for check, ok, finding in checks])
    else:
        for check, ok, finding in checks:
            output().print(f"{'ok     ' if ok else 'PROBLEM'} {check}: {finding}", markup=False, soft_wrap=True)
    if not all(ok for _, ok, _ in checks):
        raise typer.Exit(1)


def _checks(home: str | None) -> list[tuple[str, bool, str]]:
    from importlib.metadata import version

    from rnnbench.cli.catalogue import data_rows
    from rnnbench.sweep.ray_executor import available_cpus

    place = home_at(home)
    python = sys.version.split()[0]
    checks = [("python", sys.version_info >= (3, 11), python), ("cores", True, str(available_cpus()))]
    checks += [(package, True, version(package)) for package in ("torch", "lightning", "ray", "mlflow", "sqlalchemy")]
    existing = next(folder for folder in (place.path, *place.path.parents) if folder.exists())
    free_gb = shutil.disk_usage(existing).free / 1e9
    checks.append(("disk", free_gb >= 1, f"{free_gb:.0f} GB free for {place.path}"))
    checks.append(("results", os.access(existing, os.W_OK), f"{place.path} can{'' if os.access(existing, os.W_OK) else 'not'} be written"))
    memory = Path("/dev") / "shm"
    if memory.is_dir():
        shared = shutil.disk_usage(memory).free / 1e9
        checks.append(("shared memory", shared > 0.1, f"{shared:.1f} GB free for Ray"))
    rows = data_rows()
    found = sum(row["state"] != "missing" for row in rows)
    checks.append(("data sets", True, f"{found} of {len(rows)} usable without a download; see rnnbench data list"))
    return checks


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")
