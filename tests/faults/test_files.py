"""Damaged, foreign and hostile files: refused quickly, or the previous valid one is used; nothing in them runs."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rnnbench.base.errors import SweepFileError
from rnnbench.base.home import Home
from rnnbench.ledger.records import Status
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.planned import plan_sweep
from rnnbench.trial.checkpoint import save_checkpoint
from rnnbench.trial.door import run_job
from rnnbench.trial.files import LAST, previous_of
from rnnbench.trial.job import Job
from tests.faults.harness import SMALL, environment, open_ledger, run

BAD_SWEEPS = Path(__file__).parents[1] / "bad_sweeps"


def job(folder: Path, **changes: Any) -> Job:
    (folder / "small.yaml").write_text(SMALL.replace("max_epochs: 2", "max_epochs: 6"))
    spec = plan_sweep(read_sweep(folder / "small.yaml"), os.environ).specs[1]
    return Job(spec.key(), 1, spec, {}, str(folder / "trial"), checkpoint_every_s=0.0, **changes)


def train(one: Job) -> tuple[dict[str, Any], list[int]]:
    """Runs a job; gives its last event and the epochs that it trained."""
    epochs: list[int] = []

    def report(event: dict[str, Any]) -> None:
        if event["kind"] == "epoch":
            epochs.append(event["epoch"])

    return run_job(one.to_dict(), report), epochs


def comparable(finished: dict[str, Any]) -> tuple[object, ...]:
    outcome = finished["outcome"]
    metrics = {name: value for name, value in outcome["metrics"].items() if not name.endswith("_s")}
    return finished["status"], outcome["best"], outcome["best_epoch"], outcome["last"], outcome["epochs"], metrics


class _Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


def signed(body: bytes) -> bytes:
    return b"rnnbench-checkpoint 1 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def malicious() -> bytes:
    buffer = io.BytesIO()
    torch.save({"key": "x", "module": _Malicious()}, buffer)
    return signed(buffer.getvalue())


def of_another_shape(folder: Path) -> bytes:
    """A valid checkpoint that carries this trial's key and weights of another size."""
    save_checkpoint(
        folder / "other.ckpt",
        {"key": job(folder).key, "module": {"w": torch.zeros(3)}, "optimizer": {}, "progress": {}, "partial": None, "elapsed_s": 0.0},
    )
    return (folder / "other.ckpt").read_bytes()


DAMAGES: dict[str, Callable[[bytes, Path], bytes]] = {
    "empty": lambda content, folder: b"",
    "half": lambda content, folder: content[: len(content) // 2],
    "one byte less": lambda content, folder: content[:-1],
    "a flipped bit": lambda content, folder: content[:-200] + bytes([content[-200] ^ 1]) + content[-199:],
    "another program's": lambda content, folder: b"GIF89a" + content,
    "a plain pickle": lambda content, folder: pickle.dumps(_Malicious()),
    "a signed pickle": lambda content, folder: signed(pickle.dumps(_Malicious())),
    "a malicious tensor file": lambda content, folder: malicious(),
    "of another shape": lambda content, folder: of_another_shape(folder),
    "not a mapping": lambda content, folder: signed(_saved([1, 2, 3])),
    "a mapping of nothing": lambda content, folder: signed(_saved({})),
}


def _saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.fixture
def interrupted(tmp_path: Path) -> tuple[Path, tuple[object, ...]]:
    """A folder with a trial that was stopped after three epochs, and what it would have ended with."""
    reference = tmp_path / "reference"
    reference.mkdir()
    whole, _ = train(job(reference))
    stop = tmp_path / "stop"
    one = job(tmp_path, stop_file=str(stop))

    def report(event: dict[str, Any]) -> None:
        if event["kind"] == "epoch" and event["epoch"] == 3:
            stop.touch()
            time.sleep(0.25)  # the pulse looks five times a second

    finished = run_job(one.to_dict(), report)
    assert finished["status"] == "interrupted"
    stop.unlink()
    return tmp_path, comparable(whole)


def test_an_interrupted_trial_ends_bit_equal(interrupted: tuple[Path, tuple[object, ...]]) -> None:
    folder, whole = interrupted
    finished, epochs = train(job(folder))
    assert epochs[0] == 4
    assert comparable(finished) == whole
    assert sorted(path.name for path in (folder / "trial").iterdir()) == ["best.ckpt", "trial.log"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_fault_11_and_12_a_bad_checkpoint_gives_way_to_the_one_before(
    damage: str, interrupted: tuple[Path, tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole = interrupted
    monkeypatch.chdir(folder)
    last = folder / "trial" / LAST
    assert previous_of(last).exists()
    last.write_bytes(DAMAGES[damage](last.read_bytes(), folder))
    finished, epochs = train(job(folder))
    assert epochs[0] in (3, 4), "it began anew although the one before is good"
    assert comparable(finished) == whole
    assert "checkpoint not used" in (folder / "trial" / "trial.log").read_text()
    assert not (folder / "executed").exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_fault_11_and_12_with_both_bad_the_trial_starts_again(
    damage: str, interrupted: tuple[Path, tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, whole = interrupted
    monkeypatch.chdir(folder)
    last = folder / "trial" / LAST
    for path in (last, previous_of(last)):
        path.write_bytes(DAMAGES[damage](path.read_bytes(), folder))
    finished, epochs = train(job(folder))
    assert epochs == [1, 2, 3, 4, 5, 6]
    assert comparable(finished) == whole
    assert not (folder / "executed").exists()


def hostile_texts() -> dict[str, bytes]:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    return {
        "object tag": b"task: !!python/object/apply:os.system ['touch executed']\n",
        "new tag": b"!!python/object/new:os.system\nargs: ['touch executed']\n",
        "module tag": b"task: !!python/module:os\ncells: [lstm]\n",
        "alias bomb": bomb.encode(),
        "merge key": b"base: &b {a: 1}\ntask:\n  <<: *b\n",
        "fifty megabytes": b"task: adding\n#" + b"x" * 50_000_000,
        "fifty megabytes of lists": b"task: " + b"[" * 50_000_000,
        "deep lists": b"task: " + b"[" * 20_000 + b"]" * 20_000,
        "deep mappings": b"".join(b" " * n + b"a:\n" for n in range(1200)),
        "duplicate keys": b"task: adding\ntask: sequential_digits\n",
        "many keys": b"".join(b"k%d: 1\n" % n for n in range(50_000)),
        "NUL bytes": b"task: add\0ing\n",
        "escape codes": b"task: \x1b[2J\x1b[31madding\n",
        "not UTF-8": b"task: \xff\xfe\xfa\n",
        "UTF-16": "task: adding\n".encode("utf-16"),
        "tabs": b"task:\n\t- adding\n",
        "a name with dots": SMALL.replace("name: small", "name: ../../escape").encode(),
        "an absolute name": SMALL.replace("name: small", "name: /etc/passwd").encode(),
        "markup in a name": SMALL.replace("name: small", "name: <script>alert(1)</script>").encode(),
        "ten kilobytes of name": SMALL.replace("name: small", "name: " + "n" * 10_000).encode(),
        "ten kilobytes of cell": SMALL.replace("elman", "e" * 10_000).encode(),
        "a huge number": SMALL.replace("num_samples: 3", "num_samples: " + "9" * 5000).encode(),
        "an infinite range": SMALL.replace("[1e-3, 1e-1]", "[1e-3, .inf]").encode(),
        "a list for a mapping": b"- task\n- adding\n",
        "only a scalar": b"adding\n",
        "a binary file": bytes(range(256)) * 100,
        "an ELF file": b"\x7fELF" + bytes(1000),
    }


HOSTILE = hostile_texts()


@pytest.mark.parametrize("name", HOSTILE)
def test_fault_13_hostile_yaml_is_refused_in_a_second_and_200_mb(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.yaml"
    path.write_bytes(HOSTILE[name])
    program = (
        "import json, time\n"
        "from pathlib import Path\n"
        "from rnnbench.search.sweepfile import read_sweep\n"
        "from rnnbench.search import reader\n"
        "from rnnbench.base.errors import SweepFileError\n"
        "started = time.process_time()\n"
        "try:\n"
        "    read_sweep(Path('hostile.yaml'))\n"
        "except SweepFileError as error:\n"
        "    seconds = time.process_time() - started\n"
        "    peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "    print(json.dumps([str(error), seconds, int(peak.split()[1])]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    message, seconds, kilobytes = json.loads(done.stdout)
    assert message.startswith("hostile.yaml")
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < 400
    assert seconds < 1
    assert kilobytes < 200_000
    assert os.listdir(tmp_path) == ["hostile.yaml"]


def test_fault_13_and_14_there_are_sixty_hostile_and_bad_files() -> None:
    assert len(HOSTILE) + len(list(BAD_SWEEPS.glob("*.yaml"))) >= 60


def test_fault_14_bad_sweep_files_start_nothing(tmp_path: Path) -> None:
    expected = json.loads((BAD_SWEEPS / "expected.json").read_text())
    assert len(expected) >= 30
    for name, message in expected.items():
        with pytest.raises(SweepFileError) as error:
            read_sweep(BAD_SWEEPS / f"{name}.yaml")
        assert str(error.value).replace(f"{BAD_SWEEPS}/", "") == message
        assert error.value.exit_code == 2
    for name in ("unknown_cell", "log_from_zero", "low_above_high"):
        done = run(tmp_path, "sweep", str(BAD_SWEEPS / f"{name}.yaml"), code=2)
        assert done.stderr == f"rnnbench: {BAD_SWEEPS}/{expected[name]}\n"
    assert list(tmp_path.iterdir()) == []


def test_fault_27_hostile_names_stay_in_their_folder_and_are_escaped(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>\x1b]0;x\x07"
    (tmp_path / "small.yaml").write_text("# " + evil.replace("\x1b", "").replace("\x07", "") + "\n" + SMALL)
    run(tmp_path, "sweep", "small.yaml", "--executor", "inline", tracking=True)
    page = (tmp_path / "runs" / "reports" / "small" / "report.html").read_text()
    assert "<img src=x" not in page
    for name in ("../escape", "/tmp/escape", "a/b", "..", ".hidden", "x" * 10_000, "<b>", "a\nb", "\x1b[31m", ""):
        with pytest.raises(SweepFileError) as error:
            read_sweep(tmp_path / "small.yaml", name=name)
        assert "\x1b" not in str(error.value)
        assert len(str(error.value)) < 500
    for command in ("status", "show", "resume", "report", "cancel"):
        done = run(tmp_path, command, "../\x1b[31mescape", code=2)
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["runs", "small.yaml"]
    with open_ledger(tmp_path) as ledger:
        assert [sweep.name for sweep in ledger.list_sweeps()] == ["small"]


def test_fault_17_a_full_disk_stops_the_sweep_and_it_goes_on_later(tmp_path: Path) -> None:
    """A file system of a few megabytes, filled by something else while the sweep runs."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"needs a small file system of its own: mount says {mounted.stderr.strip()}")
    try:
        text = SMALL.replace("max_epochs: 2", "max_epochs: 15").replace("hidden_size: 4", "hidden_size: 32")
        (tmp_path / "small.yaml").write_text(text + "checkpoints: {every_seconds: 0.01}\n")
        home = ("--home", str(disk / "runs"))
        # A filler that grows while the trials run, so that it is not known what meets the end first.
        filler = subprocess.Popen(
            ["sh", "-c", f"until ls {disk}/runs/checkpoints/*/*/best.ckpt 2>/dev/null; do sleep 0.1; done; yes > {disk}/filler"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        done = run(tmp_path, "sweep", "small.yaml", "--executor", "inline", *home, code=1, tracking=True)
        filler.wait(timeout=60)
        assert "Traceback" not in done.stderr, done.stderr
        assert "no room left" in done.stderr.splitlines()[-1]
        (disk / "filler").unlink()
        assert run(tmp_path, "db", "check", *home).stdout == "whole\n"
        status = json.loads(run(tmp_path, "status", "small", "--json", *home).stdout)
        assert status["failed"] == 0
        assert status["pending"] > 0
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        run(tmp_path, "resume", "small", "--executor", "inline", *home)
        reference = tmp_path / "reference"
        reference.mkdir()
        run(tmp_path, "sweep", "small.yaml", "--executor", "inline", "--home", str(reference))
        both = [json.loads(run(tmp_path, "status", "small", "--json", "--home", str(place)).stdout) for place in (disk / "runs", reference)]
        for each in both:
            del each["seconds"]
        assert both[0] == both[1]
        assert both[0]["completed"] == both[0]["planned"] == 6
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_fault_22_places_that_cannot_be_used_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "file").write_text("")
    cases: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        (("--home", str(tmp_path / "file")), {}, "cannot be written"),
        (("--home", "/proc/runs"), {}, "cannot be written"),
        (("--executor", "ray"), {"TMPDIR": str(tmp_path / ("t" * 100))}, "too long a path for Ray's sockets"),
        (("--executor", "ray"), {"RAY_AUTH_MODE": "disabled"}, "--insecure"),
        (("--address", "10.255.255.1:6379"), {"HOME": str(tmp_path)}, "no token for the Ray at"),
    ]
    (tmp_path / ("t" * 100)).mkdir()
    for number, (arguments, extra, words) in enumerate(cases):
        home = () if "--home" in arguments else ("--home", str(tmp_path / f"home{number}"))
        done = run(tmp_path, "sweep", "small.yaml", *arguments, *home, code=2, extra=extra)
        assert words in done.stderr.splitlines()[-1], done.stderr
        assert "Traceback" not in done.stderr


def test_fault_22_a_temporary_folder_too_deep_for_sockets_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    deep = tmp_path / ("t" * 100)
    deep.mkdir()
    run(tmp_path, "sweep", "small.yaml", extra={"TMPDIR": str(deep)})


@pytest.mark.slow
def test_fault_22_a_read_only_folder_and_no_home(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)], capture_output=True, check=False).returncode == 0:
        try:
            done = run(tmp_path, "sweep", "small.yaml", "--home", str(disk / "runs"), code=2)
            assert "cannot be written (Read-only file system)" in done.stderr
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    without_home = {name: value for name, value in environment().items() if name != "HOME"}
    command = [sys.executable, "-c", "from rnnbench.cli.app import main; main()", "sweep", "small.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=without_home, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr


def test_statuses_of_the_ledger_are_what_the_files_say(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL + "checkpoints: {keep_best: 1}\n")
    run(tmp_path, "sweep", "small.yaml", "--executor", "inline")
    with open_ledger(tmp_path) as ledger:
        trials = ledger.trials("small")
    home = Home(tmp_path / "runs")
    kept = {trial.key for trial in trials if (home.trial_folder(trial.key) / "best.ckpt").exists()}
    best = set()
    for cell in ("elman", "lstm"):
        lane = [trial for trial in trials if trial.spec.cell == cell and trial.status == Status.COMPLETED]
        best.add(max(lane, key=lambda trial: (trial.best or 0.0, -trial.position)).key)
    assert kept == best
    assert json.loads(run(tmp_path, "gc", "--json").stdout)["files"] == []
