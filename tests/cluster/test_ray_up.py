"""`ray up` with the file of deploy/ray, over ssh, on two hosts of network namespaces that see no process but their own."""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.hosts import Host, two_hosts, write_token
from tests.cluster.manifests import DEPLOY, ROOT
from tests.faults.harness import COMMAND, SMALL, check_history, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROGRAMS = Path(sys.executable).parent
SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
SSHD_CONFIGURATION = """\
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv RAY_USAGE_STATS_ENABLED=0
"""


@dataclass(frozen=True)
class Site:
    """Two hosts that are reached by ssh, and the environment of the one who starts a Ray on them from the first."""

    head: Host
    worker: Host
    folder: Path
    environment: dict[str, str]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    missing = [
        name for name, found in (("sshd", SSHD), ("rsync", shutil.which("rsync")), ("ssh-keygen", shutil.which("ssh-keygen"))) if not found
    ]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: see make cluster-tools")
    home = tmp_path / "mine"
    (home / ".ray").mkdir(parents=True)
    write_token(home / ".ray").rename(home / ".ray" / "auth_token")
    for name in ("key", "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd locks its unprivileged part in
    with two_hosts() as (head, worker):
        for host in (head, worker):
            place = tmp_path / host.name
            for name in ("ray", "bin"):
                (place / name).mkdir(parents=True)
            (place / "bin" / "ray").symlink_to(PROGRAMS / "ray")
            (place / "sshd.conf").write_text(SSHD_CONFIGURATION.format(address=host.address, folder=tmp_path))
            users = Path("/etc/passwd").read_text().splitlines()
            (place / "passwd").write_text("".join(f"{_at_home(line, place)}\n" for line in users))
            # Processes of its own, for `ray stop` ends every Ray it sees; a home, a folder where Ray writes, and ray on the path.
            words = f"mkdir -p /tmp/ray && mount --bind {place}/ray /tmp/ray && mount --bind {place}/passwd /etc/passwd"
            words += f" && mount --bind {place}/bin /usr/local/sbin && exec {SSHD} -D -e -f {place}/sshd.conf"
            host.spawn(
                ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", words], os.environ, place / "sshd.log"
            )
            deadline = time.monotonic() + 20
            while 22 not in host.listening():
                assert time.monotonic() < deadline, (place / "sshd.log").read_text()
                time.sleep(0.1)
        yield Site(
            head,
            worker,
            tmp_path,
            environment({"HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(home)}),
        )


def _at_home(line: str, home: Path) -> str:
    """A line of /etc/passwd; root's names another home."""
    name, *rest, _, shell = line.split(":")
    return line if name != "root" else ":".join([name, *rest, str(home), shell])


def write_file(site: Site) -> Path:
    """deploy/ray/cluster.yaml with this site's addresses, user and folders."""
    text = (DEPLOY / "ray" / "cluster.yaml").read_text(encoding="utf-8")
    for usual, ours in (
        ("[10.0.0.2, 10.0.0.3]", f"[{site.worker.address}]"),
        ("10.0.0.1", site.head.address),
        ("max_workers: 2", "max_workers: 1"),
        ("ssh_user: rnnbench", "ssh_user: root"),
        ("~/.ssh/id_ed25519", str(site.folder / "key")),
        ("/opt/rnnbench/bin/", f"{PROGRAMS}/"),
        ("ray start ", "ray start --object-store-memory=100000000 "),
    ):
        assert usual in text
        text = text.replace(usual, ours)
    path = site.folder / "cluster.yaml"
    path.write_text(text)
    return path


def ssh(site: Site, host: Host, words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """A line of a shell on a host, from the machine of whoever starts the Ray."""
    options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
    flags = [f"-o{option}" for option in options]
    return site.head.run(["ssh", "-i", str(site.folder / "key"), *flags, f"root@{host.address}", words], site.environment, timeout_s)


def count_nodes(site: Site) -> int:
    """Active nodes, as `ray status` on the head counts them."""
    said = ssh(site, site.head, f"RAY_AUTH_MODE=token {PROGRAMS / 'ray'} status").stdout
    active = said.partition("Active:\n")[2].partition("Pending:")[0]
    return sum(map(int, re.findall(r"^ (\d+) ", active, re.MULTILINE)))


def test_the_steps_of_the_deployment_page_from_ray_up_to_ray_down(site: Site) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ +(\S+=\S+ ray up cluster\.yaml .*)$", page, re.MULTILINE)
    write_file(site)
    words = f"cd {site.folder} && {line.replace(' ray ', f' {PROGRAMS}/ray ')} --yes --log-color=false"
    up = site.head.run(["bash", "-c", words], site.environment, 300)
    assert up.returncode == 0, (up.stdout + up.stderr)[-4000:]
    assert "New status: up-to-date" in up.stdout, (up.stdout + up.stderr)[-4000:]

    # The head starts the other host, which joins with the token.
    deadline = time.monotonic() + 120
    while (found := count_nodes(site)) != 2:
        assert time.monotonic() < deadline, (found, ssh(site, site.head, "tail -n 50 /tmp/ray/session_latest/logs/monitor*").stdout)
        time.sleep(1)
    token = site.folder / site.worker.name / ".ray" / "auth_token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    stranger = ssh(
        site, site.worker, f"env -i PATH=/usr/bin HOME=/nonexistent timeout 60 {PROGRAMS}/ray start --address={site.head.address}:6379"
    )
    assert stranger.returncode != 0
    assert "InvalidAuthToken: Authentication token is missing or incorrect" in stranger.stdout + stranger.stderr

    (site.folder / "small.yaml").write_text(SMALL)
    sweep = [*COMMAND, "sweep", "small.yaml", "--address", f"{site.head.address}:6379", "--tracking-uri", "none", "--json"]
    done = ssh(site, site.head, f"cd {site.folder} && RAY_AUTH_MODE=token {shlex.join(sweep)}", 200)
    assert done.returncode == 0, done.stderr[-3000:]
    check_history(site.folder, "small")

    down = site.head.run([f"{PROGRAMS}/ray", "down", str(site.folder / "cluster.yaml"), "--yes"], site.environment, 120)
    assert down.returncode == 0, (down.stdout + down.stderr)[-4000:]
    # A host whose head is gone gives up after a minute.
    deadline = time.monotonic() + 150
    while (left := [set(host.listening()) for host in (site.head, site.worker)]) != [{22}, {22}]:
        assert time.monotonic() < deadline, left
        time.sleep(1)
