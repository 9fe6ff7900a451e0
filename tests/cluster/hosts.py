"""Hosts with addresses of their own on one machine: network namespaces joined by a cable, ended with every process in them."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_LISTEN = "0A"


@dataclass(frozen=True)
class Host:
    """A network namespace with one address on the cable, beside its loopback."""

    name: str
    address: str
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def command(self, words: Sequence[str]) -> list[str]:
        """The words, as this host runs them."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, words: Sequence[str], env: Mapping[str, str], timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """A program that ends."""
        return subprocess.run(
            self.command(words), env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def spawn(self, words: Sequence[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """A program that stays; the end of the host ends it."""
        with log.open("wb") as stream:
            process = subprocess.Popen(self.command(words), env=env, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
        self._started.append(process)
        return process

    def listening(self) -> dict[int, set[str]]:
        """Each port that something listens on, with the addresses it answers: `loopback`, `all` or this host's."""
        found: dict[int, set[str]] = {}
        for table in ("tcp", "tcp6"):
            for line in self.run(["cat", f"/proc/net/{table}"], os.environ).stdout.splitlines()[1:]:
                place, state = line.split()[1], line.split()[3]
                if state == _LISTEN:
                    address, port = place.split(":")
                    found.setdefault(int(port, 16), set()).add(self._name(address))
        return found

    def _name(self, address: str) -> str:
        if set(address) == {"0"}:
            return "all"
        ours = "".join(f"{int(part):02X}" for part in reversed(self.address.split(".")))
        return {"0100007F": "loopback", "00000000000000000000000001000000": "loopback", ours: self.address}.get(address[-8:], address)

    def end(self) -> None:
        """Ends every process of this host."""
        for how, patience_s in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 10.0)):
            deadline = time.monotonic() + patience_s
            for pid in self._pids():
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    continue
            while self._pids() and time.monotonic() < deadline:
                time.sleep(0.1)
        assert not self._pids(), f"processes of {self.name} do not end"
        for process in self._started:
            process.wait(timeout=10)

    def _pids(self) -> list[int]:
        # A child that ended is gone once it is asked for.
        for process in self._started:
            process.poll()
        return [
            int(word)
            for word in subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False).stdout.split()
        ]


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two, that reach each other and nothing else; or a visible skip."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    if shutil.which("ip") is None:
        pytest.skip("needs ip: apt install iproute2")
    mark = secrets.token_hex(3)
    hosts = [Host(f"rnn{mark}{number}", f"10.77.0.{number}") for number in (1, 2)]
    made = []
    try:
        for host in hosts:
            done = subprocess.run(["ip", "netns", "add", host.name], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"needs network namespaces, and this machine refuses: {done.stderr.strip()}")
            made.append(host)
        ends = [f"v{mark}{number}" for number in (1, 2)]
        _ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for host, end in zip(hosts, ends, strict=True):
            _ip("link", "set", end, "netns", host.name)
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", end)
            for device in ("lo", end):
                _ip("-n", host.name, "link", "set", device, "up")
        yield hosts[0], hosts[1]
    finally:
        for host in made:
            host.end()
            _ip("netns", "delete", host.name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def write_token(folder: Path) -> Path:
    """A token in a file for its owner alone."""
    path = folder / "token"
    path.touch(0o600)
    path.write_text(secrets.token_hex(32))
    return path
