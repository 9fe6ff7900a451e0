"""Getting and checking data as a person does: `rnnbench data`, and what a sweep or a training does with data that is no good."""

import hashlib
import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.task.http_server import Site, serve

COMMAND = [sys.executable, "-c", "from rnnbench.cli.app import main; main()"]
PLUGIN = Path(__file__).parent / "lines_plugin"
ROWS = "".join(f"{number - 49.5:+07.2f},{int(number > 49)}\n" for number in range(120))
OWN = "".join(f"{number - 29.5},{int(number > 29)}\n" for number in range(60))
SWEEP = """\
task: {{name: lines, data: {{path: {path}}}, {options}}}
cells: [elman]
search: {{method: grid}}
budget: {{max_epochs: 1}}
space:
  network.hidden_size: 4
  {space}
"""


@dataclass(frozen=True)
class Person:
    """Somebody with a folder, a data home, and a task of another package whose files a server on this machine has."""

    folder: Path
    plugin: Path
    site: Site

    @property
    def home(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> list[str]:
        path = self.folder / "read.log"
        return path.read_text().splitlines() if path.exists() else []

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RNNBENCH")}
        paths = os.pathsep.join(filter(None, [str(self.plugin), kept.get("PYTHONPATH")]))
        return kept | {"PYTHONPATH": paths, "RNNBENCH_DATA": str(self.home), "LINES_LOG": str(self.folder / "read.log"), "NO_PROXY": "*"}

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == code, done.stderr + done.stdout
        return done

    def refused(self, *arguments: str) -> str:
        """The one line of a command that exits with 2."""
        done = self.run(*arguments, code=2)
        assert done.stdout == ""
        (line,) = [line for line in done.stderr.splitlines() if line.strip()]
        assert line.startswith("rnnbench: ")
        return line.removeprefix("rnnbench: ")

    def write_sweep(self, path: str = "own.csv", options: str = "", space: str = "") -> None:
        (self.folder / "own.yaml").write_text(SWEEP.format(path=path, options=options, space=space))

    def sweeps(self) -> int:
        """How many sweeps the ledger has."""
        ledger = self.folder / "runs" / "rnnbench.db"
        if not ledger.exists():
            return 0
        with sqlite3.connect(ledger) as connection:
            return int(connection.execute("select count(*) from sweeps").fetchone()[0])


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    plugin = tmp_path / "plugin"
    shutil.copytree(PLUGIN, plugin, ignore=shutil.ignore_patterns("__pycache__"))
    with serve() as site:
        site.content = {"/a.csv": ROWS.encode(), "/b.csv": OWN.encode()}
        card, sums = plugin / "lines_task" / "task.yaml", {"SHA_A": ROWS, "SHA_B": OWN}
        text = card.read_text().replace("SITE", site.url)
        for word, content in sums.items():
            text = text.replace(word, hashlib.sha256(content.encode()).hexdigest())
        card.write_text(text)
        folder = tmp_path / "person"
        folder.mkdir()
        (folder / "own.csv").write_text(OWN)
        yield Person(folder, plugin, site)


@pytest.mark.slow
def test_a_set_is_fetched_with_plain_lines_in_a_pipe_and_then_used(person: Person) -> None:
    missing = next(line for line in person.run("data", "list").stdout.splitlines() if line.startswith("data set 'pair'"))
    assert "pair/a.csv, which is not there (and 1 more); fetch it with: rnnbench data fetch lines pair" in missing
    done = person.run("data", "fetch", "lines", "pair")
    assert done.stderr.splitlines() == ["fetching pair/a.csv (1.2 kB)", "fetching pair/b.csv (" + f"{len(OWN):.3g} bytes)"]
    assert [line.split(": ")[1] for line in done.stdout.splitlines()[:2]] == ["fetched, checksum as published"] * 2
    assert (person.home / "pair" / "a.csv").read_text() == ROWS
    again = person.run("data", "fetch", "lines", "pair")
    assert again.stderr == ""
    assert "here already" in again.stdout
    rows = {row["data"]: row for row in json.loads(person.run("data", "list", "--json").stdout) if row["task"] == "lines"}
    assert rows["pair"]["state"] == f"here: {person.home / 'pair'}"
    assert rows["pair"]["size_bytes"] == len(ROWS) + len(OWN)
    assert rows["other"]["state"] == "missing"
    assert rows["made"]["state"] == "embedded"
    assert rows["path:"]["accepts"] == "a CSV of number,label"


@pytest.mark.slow
def test_a_file_without_a_published_checksum_is_told_by_its_own(person: Person) -> None:
    done = person.run("data", "fetch", "lines", "other")
    assert f"no published checksum, sha256 {hashlib.sha256(ROWS.encode()).hexdigest()}" in done.stdout


@pytest.mark.slow
def test_what_cannot_be_fetched_is_one_line_and_exit_2(person: Person) -> None:
    assert person.refused("data", "fetch").startswith("give a task (")
    assert person.refused("data", "fetch", "lines", "made") == "data set 'made' of task 'lines' is embedded: it needs no fetch"
    assert person.refused("data", "fetch", "lines", "piar") == "task 'lines' has no data set 'piar'; did you mean 'pair'?"
    assert "task 'lines' has 3 sets to fetch: pair, other, gone; name one of them" in person.refused("data", "fetch", "lines")
    assert person.refused("data", "fetch", "lines", "pair", "--all").startswith("--all is every data set, 'pair' is one")
    gone = person.run("data", "fetch", "lines", "gone", code=2)
    assert gone.stderr == f"rnnbench: {person.site.url}/gone.csv: HTTP 404 (Not Found)\n"
    person.site.content["/a.csv"] = ROWS.replace("1", "2").encode()
    wrong = person.run("data", "fetch", "lines", "pair", code=2).stderr.splitlines()
    assert wrong[-1].startswith(f"rnnbench: {person.site.url}/a.csv: wrong checksum: got sha256 ")
    assert not list(person.home.rglob("*.csv*"))


@pytest.mark.slow
def test_of_all_sets_those_that_can_be_had_are_fetched_and_the_rest_named(person: Person) -> None:
    done = person.run("data", "fetch", "lines", "--all", code=2)
    assert done.stderr.splitlines()[-1] == "rnnbench: 1 of 3 data sets could not be fetched: gone"
    assert "/gone.csv: HTTP 404 (Not Found)" in done.stderr
    assert sorted(path.relative_to(person.home).as_posix() for path in person.home.rglob("*.csv")) == [
        "other/a.csv",
        "pair/a.csv",
        "pair/b.csv",
    ]


@pytest.mark.slow
def test_ctrl_c_keeps_what_has_come(person: Person) -> None:
    person.site.content["/a.csv"] = ROWS.encode() * 1000
    person.site.pause_s = 0.005
    process = subprocess.Popen(
        [*COMMAND, "data", "fetch", "lines", "other"], cwd=person.folder, env=person.environment(), stderr=subprocess.PIPE, text=True
    )
    part = person.home / "other" / "a.csv.part"
    while not (part.exists() and part.stat().st_size):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stderr = process.communicate(timeout=30)[1]
    assert (process.returncode, stderr.splitlines()[-1]) == (130, "stopped; what has come is kept: the same command goes on from there")
    person.site.pause_s = 0.0
    assert re.search(r"fetching other/a\.csv \(.*\), from .* on", person.run("data", "fetch", "lines", "other").stderr)
    assert (person.home / "other" / "a.csv").read_bytes() == ROWS.encode() * 1000


@pytest.mark.slow
def test_a_terminal_shows_a_bar(person: Person) -> None:
    person.site.pause_s = 0.3
    ours, theirs = pty.openpty()
    environment = person.environment() | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([*COMMAND, "data", "fetch", "lines", "pair"], cwd=person.folder, env=environment, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 65536)
        except OSError:  # nobody holds the other end any more
            break
    os.close(ours)
    assert process.wait() == 0
    assert b"pair/a.csv" in seen
    assert b"kB" in seen
    assert b"\x1b[" in seen
    assert b"fetching" not in seen


@pytest.mark.slow
def test_a_check_reads_all_splits_and_says_what_is_odd(person: Person) -> None:
    (person.home / "pair").mkdir(parents=True)
    (person.home / "pair" / "a.csv").write_text(ROWS + "nan,1\n" * 30)
    (person.home / "pair" / "b.csv").write_text(OWN)
    done = person.run("data", "check", "lines", "pair", "--set", "data.seed=3")
    lines = done.stdout.splitlines()
    assert lines[:3] == ["train rows: 168", "validation rows: 21", "test rows: 21"]
    assert "warning: a.csv is not the published file (its checksum differs)" in lines
    assert any(re.fullmatch(r"note: train: \d+ rows with inputs that are not finite numbers, the first is row \d+", line) for line in lines)
    assert "note: 30 rows stand twice" not in lines  # nan is no two times the same
    assert any(line.startswith("note: ") and line.endswith(" rows stand twice") for line in lines)
    assert lines[-1] == "lines pair: usable"
    document = json.loads(person.run("data", "check", "lines", "pair", "--set", "data.seed=3", "--json").stdout)
    assert f"fingerprint: {document['fingerprint']}" in lines
    assert document["not_published"] == ["a.csv"]
    assert document["parameters"]["data.seed"] == 3
    assert document["facts"]["train rows"] == 168
    # As trials read: what trains and validates, then what tests.
    assert [line.split()[2] for line in person.log] == ["train,validation", "test"] * 2


@pytest.mark.slow
def test_a_check_takes_a_persons_own_file(person: Person) -> None:
    assert person.run("data", "check", "lines", "--path", "own.csv").stdout.splitlines()[-1] == "lines path:own.csv: usable"
    (person.folder / "bad.csv").write_text(OWN + "1,2,3\n")
    assert (
        person.refused("data", "check", "lines", "--path", "bad.csv") == f"{person.folder / 'bad.csv'}:61: 3 fields, must be number,label"
    )
    assert "own.csw is not there" in person.refused("data", "check", "lines", "--path", "own.csw")
    assert "leave one of them out" in person.refused("data", "check", "lines", "pair", "--path", "own.csv")
    assert "takes no files of one's own" in person.refused("data", "check", "adding", "--path", "own.csv")
    assert "did you mean 'data.seed'" in person.refused("data", "check", "lines", "--path", "own.csv", "--set", "data.sed=1")


@pytest.mark.slow
def test_a_sweep_on_bad_own_data_ends_before_it_starts(person: Person) -> None:
    (person.folder / "own.csv").write_text(OWN.replace("0.5,1", "0.5", 1))
    person.write_sweep()
    assert person.refused("sweep", "own.yaml").endswith("own.csv:31: 1 fields, must be number,label")
    assert person.sweeps() == 0
    assert "own.csv:31: 1 fields" in person.refused("train", "lines", "--path", "own.csv")


@pytest.mark.slow
def test_a_dry_run_does_not_read_own_data_and_says_so(person: Person) -> None:
    person.write_sweep(options="trouble: kill")
    done = person.run("sweep", "own.yaml", "--dry-run")
    assert done.stderr == f"{person.folder / 'own.csv'}: not read now; the sweep reads it once before it starts\n"
    assert person.log == []


@pytest.mark.slow
def test_a_reading_that_is_killed_is_one_line(person: Person) -> None:
    person.write_sweep(options="trouble: kill")
    assert "the process that read it was killed (signal 9); most likely it needs more memory" in person.refused("sweep", "own.yaml")
    assert person.sweeps() == 0


@pytest.mark.slow
def test_a_mistake_of_the_tasks_code_that_only_the_test_split_has_is_found_before_the_sweep(person: Person) -> None:
    person.write_sweep(options="trouble: crash")
    done = person.run("sweep", "own.yaml", code=1)
    assert "the code of task 'lines' failed on it: KeyError: \"a mistake of the task's author\"" in done.stderr.splitlines()[0]
    assert person.sweeps() == 0


@pytest.mark.slow
def test_the_reading_ends_with_the_driver(person: Person) -> None:
    person.write_sweep(options="trouble: hang")
    process = subprocess.Popen([*COMMAND, "sweep", "own.yaml"], cwd=person.folder, env=person.environment())
    while not person.log:
        assert process.poll() is None
        time.sleep(0.05)
    reader = int(person.log[0].split()[0])
    os.kill(reader, 0)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while is_running(reader):
        assert time.monotonic() < deadline, "the reader outlived its driver"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_each_way_to_read_is_tried_once_before_the_sweep_and_not_again(person: Person) -> None:
    person.write_sweep(options="trouble: chatter", space="data.seed: {grid: [0, 1]}")
    done = person.run("sweep", "own.yaml", "--executor", "inline", "--tracking-uri", "none")
    readers = [line.split()[0] for line in person.log]
    # Two ways, two calls each, in one process of their own; then the sweep's own process.
    assert readers[:4] == [readers[0]] * 4
    assert readers[4] != readers[0]
    assert "2 trials planned, 0 already done" in done.stderr
    before = len(person.log)
    assert "2 trials planned, 2 already done" in person.run("sweep", "own.yaml", "--executor", "inline", "--tracking-uri", "none").stderr
    assert len(person.log) == before


@pytest.mark.slow
def test_of_many_ways_to_read_a_handful_are_tried_and_that_is_said(person: Person) -> None:
    person.write_sweep(space="data.seed: {grid: [0, 1, 2, 3, 4, 5, 6]}")
    done = person.run("sweep", "own.yaml", "--executor", "inline", "--tracking-uri", "none")
    assert "warning: 5 of 7 combinations of data and task options were tried before the start" in done.stderr


@pytest.mark.slow
def test_files_that_are_not_the_published_ones_are_read_first_too(person: Person) -> None:
    (person.home / "pair").mkdir(parents=True)
    (person.home / "pair" / "a.csv").write_text(ROWS + "broken\n")
    (person.home / "pair" / "b.csv").write_text(OWN)
    person.write_sweep()
    text = (person.folder / "own.yaml").read_text()
    (person.folder / "own.yaml").write_text(text.replace("{path: own.csv}", "pair"))
    done = person.run("sweep", "own.yaml", code=2)
    assert done.stderr.splitlines()[-1].endswith("pair/a.csv:121: 1 fields, must be number,label")
    assert person.sweeps() == 0


@pytest.mark.slow
def test_a_trial_on_own_data_is_repeated_only_with_the_same_bytes(person: Person) -> None:
    person.write_sweep()
    person.run("sweep", "own.yaml", "--executor", "inline", "--tracking-uri", "none")
    key = json.loads(person.run("status", "own", "--json").stdout)["best"]["trial"][:8]
    assert person.run("train", "--trial", f"own/{key}").stdout.endswith("equal to the recorded one\n")
    (person.folder / "own.csv").write_text(OWN + "1.5,1\n")
    assert "own.csv has changed since that trial" in person.refused("train", "--trial", f"own/{key}")
