"""A Ray that already runs: a sweep as one of its jobs, by Ray's own command line."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rnnbench.base.errors import InputError
from rnnbench.base.names import printable
from rnnbench.cluster.job import SweepJob
from rnnbench.cluster.programs import complaint, run_program
from rnnbench.cluster.render import render

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9a-fA-F:]+\]")


@dataclass(frozen=True)
class RayRequest:
    """Which Ray takes the job: the address of its dashboard, http://HOST:PORT."""

    address: str

    def check(self) -> None:
        """Refuses what is no such address.

        Raises:
            InputError: the text says what is allowed.
        """
        parts = urlsplit(self.address)
        try:
            host = parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc
        except ValueError:
            host = ""
        if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
            raise InputError(f"--address is {printable(self.address)!r}, must be that of Ray's dashboard: http://ray-head:8265")


def render_script(job: SweepJob, home: str) -> str:
    """What the job runs, in a folder that holds this script and the sweep's file.

    Args:
        home: The results folder, under a path that every node of the Ray sees.
    """
    return render("ray/job.sh.j2", command=job.arguments("sweep.yaml", home, "--address", "auto"))


def submit_command(request: RayRequest, folder: Path, name: str) -> list[str]:
    """The words that hand a folder with `job.sh` to the Ray."""
    flags = ["--address", request.address, "--working-dir", str(folder), "--submission-id", name, "--no-wait"]
    return ["ray", "job", "submit", *flags, "--", "bash", "job.sh"]


def submit_folder(request: RayRequest, folder: Path, name: str) -> None:
    """Submits it.

    Raises:
        ProgramMissing: there is no ray here.
        InputError: the Ray cannot be reached or refused it; the text says why.
    """
    done = run_program(submit_command(request, folder, name))
    if "No such command" in done.stderr:
        raise InputError("this Ray has no `ray job`: pip install 'rnnbench[cluster]'")
    if done.returncode:
        # The last line of a traceback says what was wrong.
        done.stderr = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        last = complaint(done)
        raise InputError(f"the Ray at {request.address} does not take the job: {last}")
