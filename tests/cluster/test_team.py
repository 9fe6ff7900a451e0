"""What the compose file starts, without containers: its databases on a real PostgreSQL, its MLflow on them, and a sweep of the team's."""

import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from rnnbench.ledger.store import Ledger
from tests.cluster.manifests import DEPLOY, ROOT, read_documents, run
from tests.faults.harness import SMALL, environment
from tests.faults.harness import run as rnnbench

COMPOSE = DEPLOY / "compose"


def settings(folder: Path) -> dict[str, str]:
    """The passwords that secrets.sh writes."""
    shutil.copy(COMPOSE / "secrets.sh", folder)
    assert run("bash", folder / "secrets.sh").returncode == 0
    return dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())


@pytest.fixture
def databases(postgresql_address: str, tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The folder of a PostgreSQL's socket on which databases.sh ran, and the passwords."""
    if shutil.which("psql") is None:
        pytest.skip("needs psql: apt install postgresql-client")
    given = settings(tmp_path)
    folder = re.search(r"host=(.+)$", postgresql_address)
    assert folder is not None
    for name in ("ledger", "mlflow"):
        (tmp_path / f"{name}_password").write_text(given[f"{name.upper()}_PASSWORD"])
    script = (COMPOSE / "databases.sh").read_text().replace("/run/secrets/", f"{tmp_path}/")
    env = {**os.environ, "POSTGRES_USER": "rnnbench", "PGHOST": folder[1]}
    subprocess.run(["bash", "-c", script], env=env, check=True, capture_output=True)
    yield folder[1], given
    for name in ("ledger", "mlflow"):
        for words in (f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE {name}"):
            subprocess.run(["psql", "-U", "rnnbench", "-d", "postgres", "-c", words], env=env, check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(address: str, password: str, body: bytes | None = None, user: str = "admin") -> int:
    headers = {"Content-Type": "application/json"}
    if password:
        headers["Authorization"] = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def mlflow_here(folder: Path, socket_folder: str, given: dict[str, str], port: int) -> tuple[list[str], dict[str, str], str]:
    """The compose file's own command, environment and auth.ini of MLflow, as they are on this machine."""
    (document,) = read_documents((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))
    service = document["services"]["mlflow"]

    def here(text: str) -> str:
        text = text.replace("@db:5432/mlflow", f"@/mlflow?host={quote(socket_folder, safe='')}")
        text = text.replace("0.0.0.0", "127.0.0.1").replace("5000", str(port)).replace("s3://mlflow", str(folder / "artifacts"))
        # Last: one password in 1500 holds a 5000 of its own, and MLflow would not know its administrator.
        return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: given[found[1]], text)

    env = {name: here(value) for name, value in service["environment"].items()}
    return list(map(here, service["command"])), env, here(document["configs"]["mlflow"]["content"]).replace("%", "%%")


@contextmanager
def mlflow(folder: Path, socket_folder: str, given: dict[str, str]) -> Iterator[str]:
    """The server of the compose file, here; gives its address."""
    port = free_port()
    command, env, ini = mlflow_here(folder, socket_folder, given, port)
    (folder / "auth.ini").write_text(ini)
    env = environment({**env, "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini")})
    words = [sys.executable, "-m", *command]
    with (folder / "mlflow.log").open("wb") as log, subprocess.Popen(words, env=env, cwd=folder, stdout=log, stderr=log) as process:
        try:
            address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 90
            while True:
                assert process.poll() is None, (folder / "mlflow.log").read_text()
                assert time.monotonic() < deadline, (folder / "mlflow.log").read_text()
                try:
                    # As the health check of the compose file asks.
                    if ask(f"{address}/health", "") == 200:
                        break
                except OSError:
                    time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_passwords_reach_the_server_as_they_are_whatever_they_hold(tmp_path: Path) -> None:
    given = {name: f"{name}-5000-0.0.0.0-s3://mlflow-@db:5432/mlflow" for name in settings(tmp_path)}
    _, env, ini = mlflow_here(tmp_path, "/run/socket", given, 4321)
    assert env["MLFLOW_AUTH_ADMIN_PASSWORD"] == given["MLFLOW_ADMIN_PASSWORD"]
    assert given["MLFLOW_PASSWORD"] in env["MLFLOW_BACKEND_STORE_URI"]
    assert given["MLFLOW_PASSWORD"] in ini


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_teams_mlflow_and_ledger_work_together_on_one_postgresql(databases: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    socket_folder, given = databases
    ledger = f"postgresql://ledger@/ledger?host={quote(socket_folder, safe='')}"
    (tmp_path / "small.yaml").write_text(SMALL)
    password = given["MLFLOW_ADMIN_PASSWORD"]
    with mlflow(tmp_path, socket_folder, given) as address:
        create = f"{address}/api/2.0/mlflow/experiments/create"
        assert ask(create, "", b'{"name": "a stranger"}') == 401
        assert ask(create, "password1234", b'{"name": "a stranger"}') == 401
        assert ask(create, password, b'{"name": "somebody of ours"}') == 200
        _colleague_reads_all_and_writes_what_is_theirs(address, password)
        words = ("sweep", "small.yaml", "--executor", "inline", "--db", ledger, "--tracking-uri", address)
        extra = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password}
        rnnbench(tmp_path, *words, extra=extra, tracking=True)
        # The end of a sweep waits for a slow server some seconds only.
        synced = [rnnbench(tmp_path, "sync", "--db", ledger, "--tracking-uri", address, extra=extra).stdout for _ in range(2)]
        assert re.fullmatch(r"\d+ events delivered\n(report and best models of small delivered\n)?", synced[0])
        assert synced[1] == "0 events delivered\n"
        rnnbench(tmp_path, *words, extra=extra, tracking=True)
        assert ask(f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=small", password) == 200
    # The report went through the server into its store, by the command that found nothing left to do.
    assert list((tmp_path / "artifacts").rglob("report.html"))
    with Ledger.open(ledger) as opened:
        assert {trial.status.value for trial in opened.trials("small")} == {"completed"}


def _colleague_reads_all_and_writes_what_is_theirs(address: str, password: str) -> None:
    """A user made as docs/deployment.md says; experiment 1 is the administrator's, 2 becomes theirs."""
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    found = re.search(r"-d '(\{.*\})' http://10\.0\.0\.5:5000(/\S+/users/create)", page)
    assert found is not None
    kim = json.loads(found[1])
    assert ask(address + found[2], password, found[1].encode()) == 200

    def as_kim(what: str, body: bytes | None = None) -> int:
        return ask(f"{address}/api/2.0/mlflow/{what}", kim["password"], body, kim["username"])

    assert as_kim("experiments/get?experiment_id=1") == 200
    assert as_kim("experiments/update", b'{"experiment_id": "1", "new_name": "mine now"}') == 403
    assert as_kim("runs/create", b'{"experiment_id": "1"}') == 403
    assert as_kim("experiments/create", b'{"name": "of kim"}') == 200
    assert as_kim("runs/create", b'{"experiment_id": "2"}') == 200
    assert as_kim("users/create", b'{"username": "friend", "password": "one of twelve or more"}') == 403


def test_the_ledgers_user_does_not_reach_the_database_of_mlflow(databases: tuple[str, dict[str, str]]) -> None:
    def connect(user: str, database: str) -> subprocess.CompletedProcess[str]:
        return run("psql", "-h", databases[0], "-U", user, "-d", database, "-c", "CREATE TABLE t (i int)", "-c", "DROP TABLE t")

    assert connect("ledger", "ledger").returncode == 0
    assert connect("mlflow", "mlflow").returncode == 0
    for user, database in (("ledger", "mlflow"), ("mlflow", "ledger")):
        refused = connect(user, database)
        assert refused.returncode != 0
        assert "permission denied for database" in refused.stderr


@pytest.mark.slow
def test_each_bucket_is_made_once_and_a_refusal_is_told() -> None:
    pytest.importorskip("boto3", reason="needs boto3: pip install 'rnnbench[server]'")
    asked: list[str] = []

    class Store(http.server.BaseHTTPRequestHandler):
        """As much of S3 as lists buckets and makes one."""

        def do_GET(self) -> None:
            made = "".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in ("mlflow", "checkpoints") if f"PUT /{name}" in asked)
            listed = f"<ListAllMyBucketsResult><Buckets>{made}</Buckets></ListAllMyBucketsResult>"
            self._say(403, "<Error><Code>AccessDenied</Code></Error>") if refusing else self._say(200, listed)

        def do_PUT(self) -> None:
            self._say(200, "")

        def _say(self, status: int, body: str) -> None:
            asked.append(f"{self.command} {self.path.rstrip('/') or '/'}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    refusing = False
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as store:
        threading.Thread(target=store.serve_forever, daemon=True).start()
        keys = {"AWS_ACCESS_KEY_ID": "mlflow", "AWS_SECRET_ACCESS_KEY": "key", "AWS_DEFAULT_REGION": "us-east-1"}
        env = environment({**keys, "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{store.server_address[1]}"})

        def make() -> subprocess.CompletedProcess[str]:
            return subprocess.run([sys.executable, COMPOSE / "bucket.py"], env=env, capture_output=True, text=True, timeout=60, check=False)

        assert make().returncode == 0
        assert asked == ["GET /", "PUT /mlflow"]
        assert make().returncode == 0
        assert asked == ["GET /", "PUT /mlflow", "GET /"]
        env["BUCKETS"] = "mlflow checkpoints"
        assert make().returncode == 0
        assert asked[3:] == ["GET /", "PUT /checkpoints"]
        refusing = True
        assert "AccessDenied" in make().stderr
        store.shutdown()
