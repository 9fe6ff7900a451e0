"""`rnnbench ui | sync`: MLflow on the results."""

import os
import socket
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.cli.options import CheckpointsOption, DbOption, HomeOption, TrackingOption, home_at, open_ledger, output, people

if TYPE_CHECKING:
    from rnnbench.base.home import Home

LOOPBACK = "127.0.0.1"
# What every MLflow server of ours runs with; the files in deploy/ say it again.
MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # MLflow's Assistant would start a coding agent or a shell on this machine, whoever asks it; like this only in a container of its own.
    "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    "MLFLOW_ENABLE_ASSISTANT_SANDBOX": "true",
}


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("ui")(ui)
    app.command("sync")(sync)


def ui(
    sweep: Annotated[
        str | None, typer.Argument(metavar="SWEEP", help="The sweep whose trials to show; default: MLflow's first page.")
    ] = None,
    home: HomeOption = None,
    tracking_uri: TrackingOption = None,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 5000,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond this machine only with --auth.")] = LOOPBACK,
    auth: Annotated[bool, typer.Option("--auth", help="Ask for a password: that of $MLFLOW_AUTH_ADMIN_PASSWORD, user admin.")] = False,
) -> None:
    """Start MLflow on the results, for this machine only, and print the address; Ctrl-C ends it.

    Example: rnnbench ui lstm --port 5001
    """
    from rnnbench.base.errors import InputError

    place = home_at(home)
    uri = tracking_uri or place.tracking_uri
    if uri == place.tracking_uri and not (place.path / "mlflow.db").exists():
        raise InputError(f"no MLflow data in {place.path} yet; run a sweep first, or rnnbench sync")
    if host != LOOPBACK and not auth:
        raise InputError(f"--host {host} would let others read and change the results; add --auth, or use a tunnel to this machine")
    route = _route(place, uri, sweep) if sweep else ""
    extra = _authentication(place) if auth else {}
    chosen = _free_port(host, port)
    people().print(f"MLflow on http://{host}:{chosen}{route}  (Ctrl-C ends it)", markup=False, soft_wrap=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--default-artifact-root", str(place.artifacts)]
    command += ["--host", host, "--port", str(chosen), "--workers", "1"]
    command += ["--app-name", "basic-auth"] if auth else []
    command += ["--allowed-hosts", f"{LOOPBACK}:{chosen},localhost:{chosen}"] if host == LOOPBACK else []
    sys.stderr.flush()
    # The server takes this process's place, so a signal to it ends the server and nothing is left behind.
    os.execve(sys.executable, command, {**os.environ, **MLFLOW_ENVIRONMENT, **extra})  # noqa: S606 - no shell, and our own arguments


def _route(place: "Home", uri: str, sweep: str) -> str:
    from rnnbench.base.errors import InputError
    from rnnbench.sweep.mirror import Mirror

    route = Mirror(place.ledger_url, uri, artifact_root=place.artifacts).find_route(sweep)
    if route is None:
        raise InputError(f"MLflow has no sweep '{sweep}'; rnnbench list names those there are, rnnbench sync delivers them")
    return f"/{route}"


def _authentication(place: "Home") -> dict[str, str]:
    """MLflow's own settings for passwords, kept in the home."""
    import importlib.util
    import secrets

    from rnnbench.base.errors import InputError
    from rnnbench.base.files import write_atomic

    if importlib.util.find_spec("flask_wtf") is None:
        raise InputError("--auth needs MLflow's packages for passwords: pip install 'rnnbench[server]'")
    if not os.environ.get("MLFLOW_AUTH_ADMIN_PASSWORD"):
        raise InputError("--auth needs a password: set MLFLOW_AUTH_ADMIN_PASSWORD to one of at least 12 characters")
    settings = place.path / "mlflow-auth.ini"
    lines = ["[mlflow]", "default_permission = READ", f"database_uri = sqlite:///{place.path / 'mlflow-auth.db'}", "admin_username = admin"]
    lines += ["authorization_function = mlflow.server.auth:authenticate_request_basic_auth", "grant_default_workspace_access = false"]
    write_atomic(settings, "\n".join(lines) + "\n")
    secret = os.environ.get("MLFLOW_FLASK_SERVER_SECRET_KEY") or secrets.token_hex(32)
    return {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": secret}


def sync(home: HomeOption = None, db: DbOption = None, tracking_uri: TrackingOption = None, checkpoints: CheckpointsOption = None) -> None:
    """Deliver to MLflow what it has not taken yet; each event once in effect, then each report with the sweep's best models.

    Example: rnnbench sync
    """
    from rnnbench.cli.delivery import deliver_reports
    from rnnbench.sweep.mirror import Mirror

    place = home_at(home, checkpoints)
    with open_ledger(place, db) as ledger:
        mirror = Mirror(db or place.ledger_url, tracking_uri or place.tracking_uri, artifact_root=place.artifacts)
        output().print(f"{mirror.deliver_all()} events delivered", markup=False)
        for name in deliver_reports(ledger, mirror, place):
            output().print(f"report and best models of {name} delivered", markup=False)


def _free_port(host: str, wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")
