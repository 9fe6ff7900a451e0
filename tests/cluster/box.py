"""A real Slurm on this machine alone: slurmctld and two slurmd on ports and in folders of their own, ended by their numbers."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun")
# Of each node, whatever the machine has: eight jobs of one CPU run at once.
CPUS = 4
# GraceTime with preempt_send_user_signal: a pre-empted job gets its signal first, and is requeued by Slurm when the grace is over.
# cred_expire: how long a requeued job waits, in seconds.
CONFIGURATION = """\
ClusterName=box
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_min_interval=0,sched_interval=2,bf_interval=2
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=30
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus}
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus}
PartitionName=low Nodes=ALL Default=YES MaxTime=60 PriorityTier=1 GraceTime=60
PartitionName=hard Nodes=ALL MaxTime=60 PriorityTier=1
PartitionName=high Nodes=ALL MaxTime=60 PriorityTier=10 PreemptMode=OFF
"""


@dataclass(frozen=True)
class Box:
    """A Slurm that runs; `environment` is what its programs need."""

    folder: Path
    environment: dict[str, str]

    def ask(self, *words: str) -> str:
        """What a program of Slurm answers; it must succeed."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """A job's state."""
        return self.ask("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T")

    def restarts(self, job: str) -> int:
        """How often a job was queued again."""
        words = self.ask("scontrol", "--oneliner", "show", "job", job).split()
        return next(int(word.partition("=")[2]) for word in words if word.startswith("Restarts="))

    def wait(self, what: Callable[[], bool], words: str, patience_s: float = 240.0) -> None:
        """Waits until something holds."""
        deadline = time.monotonic() + patience_s
        while not what():
            assert time.monotonic() < deadline, f"not within {patience_s:.0f} s: {words}\n{self.ask('squeue', '--states=all')}"
            time.sleep(0.3)

    def wait_for_state(self, job: str, *states: str, patience_s: float = 240.0) -> None:
        """Waits until a job has one of some states."""
        self.wait(lambda: self.state(job) in states, f"job {job} is {' or '.join(states)}", patience_s)


def missing_programs() -> list[str]:
    """What this machine lacks; empty where a box can run."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def run_box(folder: Path) -> Iterator[Box]:
    """Runs a Slurm in a folder; every job and every process that it started is ended with it."""
    for name in ("state", "spool-node1", "spool-node2"):
        (folder / name).mkdir()
    path = folder / "slurm.conf"
    import pwd

    user = pwd.getpwuid(os.geteuid()).pw_name
    ports = free_ports(3)
    path.write_text(CONFIGURATION.format(host=socket.gethostname().split(".")[0], ports=ports, user=user, folder=folder, cpus=CPUS))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "RNNBENCH", "RAY_"))}
    box = Box(folder, environment | {"SLURM_CONF": str(path)})
    with ExitStack() as stack:
        stack.enter_context(running(box, "slurmctld", "-D", "-c"))
        for node in ("node1", "node2"):
            stack.enter_context(running(box, "slurmd", "-D", "-c", "-N", node))
        box.wait(lambda: nodes_are_idle(box), "both nodes are idle", 60)
        try:
            yield box
        finally:
            subprocess.run(["scancel", "--user", user], env=box.environment, check=False, timeout=60)
            box.wait(lambda: not box.ask("squeue", "--noheader"), "every job has ended", 90)


def nodes_are_idle(box: Box) -> bool:
    """Whether both nodes answer and nothing runs on them."""
    done = subprocess.run(
        ["sinfo", "--noheader", "--Node", "--format=%N %t"], env=box.environment, capture_output=True, text=True, check=False
    )
    return set(done.stdout.split("\n")) - {""} == {"node1 idle", "node2 idle"}


@contextmanager
def running(box: Box, *words: str) -> Iterator[None]:
    """A program in the foreground, while the block runs."""
    with (box.folder / f"{words[0]}-{words[-1]}.out").open("wb") as log:
        process = subprocess.Popen(words, env=box.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
