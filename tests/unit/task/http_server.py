"""A server on this machine that misbehaves as it is told: it cuts, refuses, hangs, forgets about ranges, changes its file."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Site:
    """What is served, how, and what was asked; tests change it between requests.

    Attributes:
        content: Bytes by path.
        etag, last_modified: Of every file; None: not sent.
        takes_ranges: Whether a Range is answered by a part of the file; `heeds_if_range` whether only of the same file.
        cuts: After so many bytes of the next answers the connection ends; None: it does not.
        statuses: Of the next answers, instead of a file.
        headers: Sent with every answer.
        hang_s: Silence before an answer; `pause_s` between chunks of a kilobyte, after the first `pause_from` bytes.
        redirects: Address by path.
        says_length: Whether the size is announced.
        asked: Headers of every request that came, with its path.
    """

    content: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"one"'
    last_modified: str | None = None
    takes_ranges: bool = True
    heeds_if_range: bool = True
    cuts: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    pause_s: float = 0.0
    pause_from: int = 0
    redirects: dict[str, str] = field(default_factory=dict)
    says_length: bool = True
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve() -> Iterator[Site]:
    """A site at a free port of 127.0.0.1."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append({**self.headers, "path": self.path})
            time.sleep(site.hang_s)
            if self.path in site.redirects:
                self._head(302, {"Location": site.redirects[self.path], "Content-Length": "0"})
            elif site.statuses:
                self._head(site.statuses.pop(0), {"Content-Length": "0", **site.headers})
            elif self.path not in site.content:
                self._head(404, {"Content-Length": "0"})
            else:
                self._file(site.content[self.path])

        def _file(self, content: bytes) -> None:
            begin = 0
            asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
            same = condition is None or not site.heeds_if_range or condition in (site.etag, site.last_modified)
            if asked and site.takes_ranges and same:
                begin = int(asked.removeprefix("bytes=").removesuffix("-"))
                if begin >= len(content):
                    self._head(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
                    return
            headers = {"ETag": site.etag, "Last-Modified": site.last_modified}
            if begin:
                headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            if site.says_length:
                headers["Content-Length"] = str(len(content) - begin)
            self._head(206 if begin else 200, {name: value for name, value in headers.items() if value is not None} | site.headers)
            cut = site.cuts.pop(0) if site.cuts else None
            rest = content[begin:] if cut is None else content[begin : begin + cut]
            for place in range(0, len(rest), 1024):
                self.wfile.write(rest[place : place + 1024])
                time.sleep(site.pause_s if place >= site.pause_from else 0.0)

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # whoever asked has gone
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
