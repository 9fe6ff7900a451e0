"""The image, built and used: what deploy/ asks of it, it does, as its own user and with nothing of ours that is secret."""

import json
import os
import shlex
import shutil
from collections.abc import Iterator

import pytest

from rnnbench.cli.services import MLFLOW_ENVIRONMENT
from tests.cluster.image import NEEDED, SECRET, Buildah, build_image, open_buildah

SMALL = """\
name: small
task: sequential_digits
cells: [elman, min_gru]
search: {method: random, num_samples: 2, seed: 0}
budget: {max_epochs: 1}
confirm: {top_k: 1, seeds: 2}
space:
  network.hidden_size: 4
  optimizer.lr: {loguniform: [1e-3, 1e-1]}
  training.batch_size: 256
"""

MISSING = [name for name in NEEDED if shutil.which(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="building an image takes root here"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}: make cluster-tools"),
    # Debian, then a copy of everything that pip installs.
    pytest.mark.timeout(2400),
]


@pytest.fixture(scope="module")
def buildah() -> Iterator[Buildah]:
    with open_buildah() as opened:
        yield opened


@pytest.fixture(scope="module")
def image(buildah: Buildah) -> str:
    return build_image(buildah)


@pytest.fixture
def container(buildah: Buildah, image: str) -> Iterator[str]:
    with buildah.container(image) as name:
        yield name


def test_a_sweep_in_the_image_goes_to_its_report(buildah: Buildah, container: str) -> None:
    done = buildah.run(container, "bash", "-c", f"cat > small.yaml << 'END'\n{SMALL}END\nrnnbench sweep small.yaml")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    status = json.loads(buildah.run(container, "rnnbench", "status", "small", "--json").stdout)
    assert (status["status"], status["planned"], status["completed"]) == ("completed", 8, 8)
    report = buildah.run(container, "ls", "reports/small").stdout.split()
    assert {"report.html", "report.md", "report.tex", "report.json"} <= set(report)


def test_it_is_nobody_who_may_write_outside_its_own_folders(buildah: Buildah, container: str) -> None:
    owned = buildah.run(
        container, "bash", "-c", "id --user; id --group; pwd; for at in /runs /data /var/lib/rnnbench; do touch $at/file; done"
    )
    assert (owned.returncode, owned.stdout.split()) == (0, ["1000", "1000", "/runs"]), owned.stderr
    refused = buildah.run(container, "bash", "-c", "for at in / /etc /usr/local/bin /opt/rnnbench/bin; do touch $at/file && echo $at; done")
    assert refused.stdout == ""
    assert refused.stderr.count("Permission denied") == 4


def test_a_login_shell_finds_the_programs_that_the_manifests_start(buildah: Buildah, container: str) -> None:
    words = ("env", "-i", "bash", "-lc", "rnnbench --version && ray --version && mlflow --version && wget --version | head -1")
    done = buildah.run(container, *words)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["rnnbench", "ray,", "mlflow,", "GNU"]


def test_the_machine_has_nothing_to_complain_of_in_the_image(buildah: Buildah, container: str) -> None:
    done = buildah.run(container, "rnnbench", "doctor")
    assert done.returncode == 0, done.stdout
    assert "problem" not in done.stdout


def test_secrets_and_results_beside_the_sources_are_not_in_it(buildah: Buildah, container: str) -> None:
    done = buildah.run(container, "grep", "-rlsF", SECRET, "/opt", "/runs", "/data", "/tmp", "/var/lib", "/usr/local", "/etc", user="root")
    assert (done.returncode, done.stdout) == (1, ""), done.stdout
    # The same words are found where somebody put them.
    buildah.run(container, "bash", "-c", f"echo {SECRET} > /runs/leak")
    assert buildah.run(container, "grep", "-rlsF", SECRET, "/runs").stdout == "/runs/leak\n"


def test_its_mlflow_asks_for_a_password_and_says_that_it_is_well(buildah: Buildah, container: str) -> None:
    given = " ".join(f"{name}={shlex.quote(value)}" for name, value in MLFLOW_ENVIRONMENT.items())
    script = (
        f"export {given}"
        """
    export MLFLOW_AUTH_CONFIG_PATH=/tmp/auth.ini MLFLOW_FLASK_SERVER_SECRET_KEY=key MLFLOW_AUTH_ADMIN_PASSWORD=a-long-password-of-ours
    printf '%s\\n' '[mlflow]' 'default_permission = READ' 'database_uri = sqlite:////tmp/auth.db' 'admin_username = admin' \\
        "admin_password = $MLFLOW_AUTH_ADMIN_PASSWORD" > $MLFLOW_AUTH_CONFIG_PATH
    port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mlflow server --host 127.0.0.1 --port $port --workers 1 --app-name basic-auth --backend-store-uri sqlite:////tmp/m.db > /tmp/log 2>&1 &
    for turn in $(seq 90); do wget -qO- http://127.0.0.1:$port/health && break; sleep 1; done
    echo; wget -qO- http://127.0.0.1:$port/api/2.0/mlflow/experiments/search?max_results=1 || echo refused
    wget -qO- --auth-no-challenge --user=admin --password=$MLFLOW_AUTH_ADMIN_PASSWORD \\
        "http://127.0.0.1:$port/api/2.0/mlflow/experiments/search?max_results=1" || cat /tmp/log
    kill $!; wait
    """
    )
    said = buildah.run(container, "bash", "-c", script).stdout.split("\n", 2)
    assert said[:2] == ["OK", "refused"], said
    assert '"experiments"' in said[2]
