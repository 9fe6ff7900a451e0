"""Fetching data sets from a server on this machine that cuts, refuses, hangs and changes its files."""

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import requests

from rnnbench.base.errors import DataError, UnknownNameError
from rnnbench.task.cards import DataCard, DataFile, MetricCard, OwnDataCard, TaskCard
from rnnbench.task.download import Patience, _require_answer
from rnnbench.task.fetch import Fetched, fetch, list_fetchable
from rnnbench.task.part import part_path
from tests.unit.task.http_server import Site, serve

CONTENT = bytes(range(256)) * 400  # 102400 bytes: several reads of the client
CUT = 32_768
OTHER = bytes(reversed(CONTENT))
QUICK = Patience(connect_s=2.0, silent_s=0.3, tries=3, pause_s=0.01)


@dataclass
class Notes:
    """A watcher that remembers."""

    starts: list[tuple[str, int, int | None]] = field(default_factory=list)
    num_bytes: int = 0
    said: list[str] = field(default_factory=list)

    def start(self, name: str, done_bytes: int, size_bytes: int | None) -> None:
        self.starts.append((name, done_bytes, size_bytes))

    def advance(self, num_bytes: int) -> None:
        self.num_bytes += num_bytes

    def say(self, words: str) -> None:
        self.said.append(words)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as found:
        found.content["/a.bin"] = CONTENT
        yield found


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_at(url: str, **changes: Any) -> DataFile:
    fields: dict[str, Any] = {"path": "set/a.bin", "url": url, "sha256": sha(CONTENT), "size_bytes": len(CONTENT)}
    return DataFile(**(fields | changes))


def card_of(*files: DataFile, or_files: tuple[tuple[DataFile, ...], ...] = ()) -> TaskCard:
    sets = {
        "real": DataCard(title="", licence="", rows="", files=files, or_files=or_files),
        "made": DataCard(title="", licence="", rows="", embedded=True),
    }
    metric = MetricCard(name="m", title="", direction="min", unit="")
    return TaskCard("toy", 1, "", "", metric, sets, "made", "none", own_data=OwnDataCard(accepts="anything"))


def get(home: Path, *files: DataFile, notes: Notes | None = None, patience: Patience = QUICK) -> list[Fetched]:
    return fetch(card_of(*files), "real", home, notes or Notes(), patience)


def names(home: Path) -> list[str]:
    return sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())


def cut_once(site: Site, home: Path, after: int = CUT, **changes: Any) -> None:
    """A first call that gets only the beginning of the file."""
    site.cuts = [after] * QUICK.tries
    site.takes_ranges, takes = False, site.takes_ranges
    with pytest.raises(DataError, match="the same command goes on from there"):
        get(home, file_at(f"{site.url}/a.bin", **changes))
    site.takes_ranges, site.cuts = takes, []
    site.asked.clear()
    assert names(home) == ["set/a.bin.part", "set/a.bin.part.json"]
    assert part_path(home / "set/a.bin").read_bytes() == CONTENT[:after]


def test_a_file_is_fetched_checked_and_alone_in_its_folder(site: Site, tmp_path: Path) -> None:
    notes = Notes()
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"), notes=notes)
    assert (found.path, found.sha256, found.verdict, found.is_new) == (tmp_path / "set/a.bin", sha(CONTENT), "checked", True)
    assert found.path.read_bytes() == CONTENT
    assert names(tmp_path) == ["set/a.bin"]
    assert notes.starts == [("set/a.bin", 0, len(CONTENT))]
    assert notes.num_bytes == len(CONTENT)
    assert found.path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_file_that_is_here_is_not_asked_for_again(site: Site, tmp_path: Path) -> None:
    get(tmp_path, file_at(f"{site.url}/a.bin"))
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert (found.is_new, found.verdict, len(site.asked)) == (False, "checked", 1)


def test_only_what_is_missing_of_a_set_is_fetched(site: Site, tmp_path: Path) -> None:
    site.content["/b.bin"] = OTHER
    second = file_at(f"{site.url}/b.bin", path="set/b.bin", sha256=sha(OTHER))
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.bin").write_bytes(CONTENT)
    found = get(tmp_path, file_at(f"{site.url}/a.bin"), second)
    assert [(one.path.name, one.is_new) for one in found] == [("a.bin", False), ("b.bin", True)]
    assert [one["path"] for one in site.asked] == ["/b.bin"]


def test_a_persons_file_with_other_bytes_stays_and_is_told_apart(site: Site, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.bin").write_bytes(b"mine")
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert (found.verdict, found.path.read_bytes(), site.asked) == ("other", b"mine", [])


def test_a_set_that_is_here_in_another_form_needs_nothing(site: Site, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    (tmp_path / "again/a.json").write_bytes(OTHER)
    card = card_of(file_at(f"{site.url}/a.bin"), or_files=((DataFile(path="again/a.json", sha256=sha(OTHER)),),))
    (found,) = fetch(card, "real", tmp_path, Notes(), QUICK)
    assert (found.path.name, found.verdict, site.asked) == ("a.json", "checked", [])


def test_a_file_without_a_published_checksum_is_fetched_and_its_own_is_told(site: Site, tmp_path: Path) -> None:
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin", sha256=None, size_bytes=None))
    assert (found.verdict, found.sha256, found.is_new) == ("unchecked", sha(CONTENT), True)


def test_a_cut_connection_is_gone_on_with_within_one_call(site: Site, tmp_path: Path) -> None:
    site.cuts, notes = [CUT, 16_384], Notes()
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"), notes=notes)
    assert found.path.read_bytes() == CONTENT
    assert [one.get("Range") for one in site.asked] == [None, "bytes=32768-", "bytes=49152-"]
    assert [one[1] for one in notes.starts] == [0, CUT, 49_152]
    assert notes.num_bytes == len(CONTENT)


def test_the_next_call_goes_on_where_the_last_was_cut(site: Site, tmp_path: Path) -> None:
    cut_once(site, tmp_path)
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert found.path.read_bytes() == CONTENT
    assert [(one["Range"], one["If-Range"]) for one in site.asked] == [("bytes=32768-", '"one"')]
    assert names(tmp_path) == ["set/a.bin"]


def test_a_date_serves_where_the_etag_is_weak(site: Site, tmp_path: Path) -> None:
    site.etag, site.last_modified = 'W/"one"', "Wed, 01 Jan 2025 00:00:00 GMT"
    cut_once(site, tmp_path)
    get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert [one["If-Range"] for one in site.asked] == [site.last_modified]


def test_a_server_without_ranges_starts_over_and_the_file_is_whole(site: Site, tmp_path: Path) -> None:
    site.takes_ranges, notes = False, Notes()
    cut_once(site, tmp_path)
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"), notes=notes)
    assert found.path.read_bytes() == CONTENT
    assert "starts from the beginning" in notes.said[0]


def test_a_whole_file_that_a_server_calls_a_part_is_not_put_behind_one(site: Site, tmp_path: Path) -> None:
    cut_once(site, tmp_path, sha256=None)
    site.takes_ranges, site.headers = False, {"Content-Range": f"bytes {CUT}-{len(CONTENT) - 1}/{len(CONTENT)}"}
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin", sha256=None))
    assert found.path.read_bytes() == CONTENT


@pytest.mark.parametrize("heeds", [True, False])
def test_a_file_that_changed_between_two_halves_is_not_put_together(site: Site, tmp_path: Path, heeds: bool) -> None:
    # Without a checksum, so that nothing else would notice.
    cut_once(site, tmp_path, sha256=None)
    site.content["/a.bin"], site.etag, site.heeds_if_range = OTHER, '"two"', heeds
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin", sha256=None))
    assert found.path.read_bytes() == OTHER


def test_a_change_that_no_header_shows_is_found_by_the_checksum_and_fetched_anew(site: Site, tmp_path: Path) -> None:
    site.etag, site.content["/a.bin"] = None, OTHER
    site.cuts = [CUT] * QUICK.tries
    site.takes_ranges = False
    with pytest.raises(DataError):
        get(tmp_path, file_at(f"{site.url}/a.bin"))
    site.takes_ranges, site.cuts, site.content["/a.bin"], notes = True, [], CONTENT, Notes()
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"), notes=notes)
    assert found.path.read_bytes() == CONTENT
    assert "the parts are not of one file" in notes.said[-1]


def test_without_etag_date_and_checksum_nothing_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.etag = None
    cut_once(site, tmp_path, sha256=None)
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin", sha256=None))
    assert found.path.read_bytes() == CONTENT
    assert "Range" not in site.asked[0]


def test_a_part_from_another_address_is_not_gone_on_with(site: Site, tmp_path: Path) -> None:
    cut_once(site, tmp_path)
    site.content["/moved.bin"] = CONTENT
    get(tmp_path, file_at(f"{site.url}/moved.bin"))
    assert "Range" not in site.asked[0]


@pytest.mark.parametrize("record", ["", "{", "[]", '{"url": 1}', None])
def test_a_part_of_which_nothing_is_known_is_not_gone_on_with(site: Site, tmp_path: Path, record: str | None) -> None:
    cut_once(site, tmp_path)
    path = tmp_path / "set/a.bin.part.json"
    path.unlink() if record is None else path.write_text(record)
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert found.path.read_bytes() == CONTENT
    assert "Range" not in site.asked[0]


def test_a_whole_part_whose_checksum_nobody_has_seen_yet_needs_no_request(site: Site, tmp_path: Path) -> None:
    cut_once(site, tmp_path)
    part_path(tmp_path / "set/a.bin").write_bytes(CONTENT)
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert (found.path.read_bytes(), site.asked) == (CONTENT, [])


def test_a_part_that_is_longer_than_the_file_is_thrown_away(site: Site, tmp_path: Path) -> None:
    cut_once(site, tmp_path)
    part_path(tmp_path / "set/a.bin").write_bytes(CONTENT + b"more")
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert found.path.read_bytes() == CONTENT


def test_a_wrong_checksum_is_one_line_and_nothing_is_left(site: Site, tmp_path: Path) -> None:
    site.content["/a.bin"] = OTHER
    with pytest.raises(DataError) as caught:
        get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert f"{site.url}/a.bin: wrong checksum: got sha256 {sha(OTHER)}, expected {sha(CONTENT)}; what came was removed" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []
    assert len(site.asked) == 1


def test_a_refusal_is_told_with_status_and_address_and_not_asked_again(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^http://127\.0\.0\.1:\d+/b\.bin: HTTP 404 \(Not Found\)$"):
        get(tmp_path, file_at(f"{site.url}/b.bin"))
    assert len(site.asked) == 1
    assert names(tmp_path) == []


def test_an_error_of_the_server_passes(site: Site, tmp_path: Path) -> None:
    site.statuses, notes = [500, 503], Notes()
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"), notes=notes)
    assert found.path.read_bytes() == CONTENT
    assert notes.said[0] == "set/a.bin: HTTP 500 (Internal Server Error); trying again in 0.01 s"


def test_the_server_says_when_to_ask_again(site: Site, tmp_path: Path) -> None:
    site.statuses, site.headers, notes = [429], {"Retry-After": "0"}, Notes()
    get(tmp_path, file_at(f"{site.url}/a.bin"), notes=notes)
    site.statuses, site.headers = [429], {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}
    get(tmp_path / "again", file_at(f"{site.url}/a.bin"), notes=notes)
    assert len(site.asked) == 4


def test_an_error_of_the_server_that_stays_is_one_line_after_a_few_tries(site: Site, tmp_path: Path) -> None:
    site.statuses = [502] * 99
    with pytest.raises(
        DataError, match=r"HTTP 502 \(Bad Gateway\); tried 3 times\. Without a network, copy the file to .*set/a\.bin by hand$"
    ):
        get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert len(site.asked) == QUICK.tries


def test_a_silent_server_is_given_up(site: Site, tmp_path: Path) -> None:
    site.hang_s = 5.0
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"no answer within 0\.1 s; tried 2 times"):
        get(tmp_path, file_at(f"{site.url}/a.bin"), patience=Patience(silent_s=0.1, tries=2, pause_s=0.01))
    assert time.monotonic() - begun < 1.0


def test_a_server_that_falls_silent_in_the_middle_is_given_up_and_the_beginning_kept(site: Site, tmp_path: Path) -> None:
    site.pause_s, site.pause_from = 0.5, CUT
    with pytest.raises(DataError, match=r"no answer within 0\.1 s; tried 2 times\. \d+ bytes of it are kept"):
        get(tmp_path, file_at(f"{site.url}/a.bin"), patience=Patience(silent_s=0.1, tries=2, pause_s=0.01))


def test_no_server_at_all_is_one_line(tmp_path: Path) -> None:
    with serve() as gone:
        url = gone.url
    with pytest.raises(DataError, match=r"no connection \(Connection refused\); tried 3 times") as caught:
        get(tmp_path, file_at(f"{url}/a.bin"))
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_a_name_that_nobody_knows_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DataError, match=r"^http://example\.org/a\.bin: no connection \(Name or service not known\); tried 3 times"):
        get(tmp_path, file_at("http://example.org/a.bin"))


def test_a_file_without_checksum_does_not_come_from_https_by_way_of_http() -> None:
    answer = requests.Response()
    answer.status_code, answer.url = 200, "http://mirror.example.org/a.bin"
    _require_answer(answer, file_at("https://example.org/a.bin"))
    with pytest.raises(DataError, match="leads to an address that is not https, and the file has no checksum"):
        _require_answer(answer, file_at("https://example.org/a.bin", sha256=None))


def test_redirects_are_followed(site: Site, tmp_path: Path) -> None:
    site.redirects = {"/old.bin": "/older.bin", "/older.bin": f"{site.url}/a.bin"}
    (found,) = get(tmp_path, file_at(f"{site.url}/old.bin"))
    assert found.path.read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/a.bin"])
def test_a_redirect_leads_to_http_only(site: Site, tmp_path: Path, target: str) -> None:
    site.redirects = {"/a.bin": target}
    with pytest.raises(DataError, match="leads to an address that is neither http nor https"):
        get(tmp_path, file_at(f"{site.url}/a.bin", sha256=None))
    assert names(tmp_path) == []


def test_redirects_in_a_circle_end(site: Site, tmp_path: Path) -> None:
    site.redirects = {"/a.bin": "/a.bin"}
    with pytest.raises(DataError, match="leads on and on"):
        get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert len(site.asked) == 11


def test_a_file_of_another_size_is_refused_before_it_is_fetched(site: Site, tmp_path: Path) -> None:
    site.content["/a.bin"], notes = CONTENT + b"more", Notes()
    with pytest.raises(DataError, match="the server has 102404 bytes, the published file 102400"):
        get(tmp_path, file_at(f"{site.url}/a.bin"), notes=notes)
    assert (notes.num_bytes, names(tmp_path)) == (0, [])


@pytest.mark.parametrize(("sha256", "size_bytes"), [(sha(CONTENT), 5_000), (None, 2_000)])
def test_more_than_a_file_may_have_is_not_taken(site: Site, tmp_path: Path, sha256: str | None, size_bytes: int) -> None:
    site.says_length = False
    with pytest.raises(DataError, match="sends more than the"):
        get(tmp_path, file_at(f"{site.url}/a.bin", sha256=sha256, size_bytes=size_bytes))
    assert names(tmp_path) == []


def test_a_size_that_nobody_tells_is_no_hindrance(site: Site, tmp_path: Path) -> None:
    site.says_length, notes = False, Notes()
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin", size_bytes=None), notes=notes)
    assert found.path.read_bytes() == CONTENT
    assert notes.starts == [("set/a.bin", 0, None)]


def test_a_web_page_is_not_taken_for_a_file_without_checksum(site: Site, tmp_path: Path) -> None:
    site.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(DataError, match="answers with a web page"):
        get(tmp_path, file_at(f"{site.url}/a.bin", sha256=None))


def test_the_bytes_of_a_gz_file_are_kept_though_the_server_calls_them_packed(site: Site, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    site.content["/a.txt.gz"], site.headers = packed, {"Content-Encoding": "gzip"}
    (found,) = get(tmp_path, file_at(f"{site.url}/a.txt.gz", path="set/a.txt.gz", sha256=sha(packed), size_bytes=len(packed)))
    assert found.path.read_bytes() == packed


def test_what_a_server_packs_against_our_wish_is_unpacked(site: Site, tmp_path: Path) -> None:
    site.content["/a.bin"], site.headers = gzip.compress(CONTENT), {"Content-Encoding": "gzip"}
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert found.path.read_bytes() == CONTENT
    assert site.asked[0]["Accept-Encoding"] == "identity"


def test_no_room_is_told_before_anything_comes(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=50_000))
    with pytest.raises(DataError, match=r"no room for set/a\.bin: it needs 0\.1 MB more, and .*set has 0\.1 MB"):
        get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert names(tmp_path) == []


@pytest.mark.slow
def test_a_disk_that_is_full_is_one_line_and_the_file_is_gone_on_with_later(site: Site, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("needs to mount a small disk")
    try:
        site.says_length = False
        with pytest.raises(DataError, match=r"no room left for set/a\.bin"):
            get(disk, file_at(f"{site.url}/a.bin", size_bytes=None))
        subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
        (found,) = get(disk, file_at(f"{site.url}/a.bin", size_bytes=None))
        assert found.path.read_bytes() == CONTENT
        assert site.asked[-1]["Range"].startswith("bytes=")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_data_home_that_cannot_be_written_is_one_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(DataError, match=r"^the data home .*home cannot be written \(.*\); set RNNBENCH_DATA to a folder of your own$"):
        get(tmp_path / "home", file_at(f"{site.url}/a.bin"))
    assert site.asked == []


def test_what_cannot_be_fetched_is_told(site: Site, tmp_path: Path) -> None:
    card = card_of(file_at(f"{site.url}/a.bin"))
    with pytest.raises(DataError, match="data set 'made' of task 'toy' is embedded: it needs no fetch"):
        fetch(card, "made", tmp_path, Notes())
    with pytest.raises(UnknownNameError, match="no data set 'rael'; did you mean 'real'"):
        fetch(card, "rael", tmp_path, Notes())
    with pytest.raises(DataError, match=r"'path:my\.csv' is your own"):
        fetch(card, "path:my.csv", tmp_path, Notes())
    with pytest.raises(DataError, match=r"set/a\.bin is not published; put it into .*set by hand"):
        get(tmp_path, file_at(""))
    assert list_fetchable(card) == ["real"]
    assert list_fetchable(card_of(file_at(""))) == []


def test_a_part_that_another_process_removes_before_it_is_locked_is_not_written(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, parts = fcntl.flock, [part_path(tmp_path / "set/a.bin")]

    def late(stream: BinaryIO, operation: int) -> None:
        while parts:
            parts.pop().unlink()
        lock(stream, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    (found,) = get(tmp_path, file_at(f"{site.url}/a.bin"))
    assert found.path.read_bytes() == CONTENT
    assert names(tmp_path) == ["set/a.bin"]


PROGRAM = """
import json, sys
from pathlib import Path
from tests.unit.task.test_fetch import Notes, Patience, file_at, get
url, home, changes = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
notes = Notes()
(found,) = get(home, file_at(url, **changes), notes=notes, patience=Patience(silent_s=20.0))
print(json.dumps([found.is_new, found.sha256, notes.said]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("sha256", [sha(CONTENT), None])
def test_processes_at_once_fetch_a_file_once_and_whole(site: Site, tmp_path: Path, sha256: str | None) -> None:
    site.pause_s = 0.01
    arguments = [f"{site.url}/a.bin", str(tmp_path / "home"), json.dumps({"sha256": sha256})]
    processes = [subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    found = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert sorted(one[0] for one in found) == [False, False, True]
    assert {one[1] for one in found} == {sha(CONTENT)}
    assert len(site.asked) == 1
    assert names(tmp_path / "home") == ["set/a.bin"]


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_a_part_that_the_next_goes_on_with(site: Site, tmp_path: Path) -> None:
    site.pause_s, home = 0.01, tmp_path / "home"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, f"{site.url}/a.bin", str(home), "{}"])
    part = part_path(home / "set/a.bin")
    while not (part.exists() and part.stat().st_size):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    site.asked.clear()
    site.pause_s = 0.0
    (found,) = get(home, file_at(f"{site.url}/a.bin"))
    assert found.path.read_bytes() == CONTENT
    assert int(site.asked[0]["Range"].removeprefix("bytes=").removesuffix("-")) > 0
    assert names(home) == ["set/a.bin"]
