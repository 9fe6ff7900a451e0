"""A tracking server that misbehaves in a chosen way, on a free port of this machine."""

import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def misbehaving(how: str) -> Iterator[str]:
    """Serves `500`, `403`, `hang` (answers after a minute) or `garbage`; `refused` serves nothing. Gives the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if how == "hang":
                ended.wait(60)
                return
            self.send_response(200 if how == "garbage" else int(how))
            self.end_headers()
            self.wfile.write(b"<html>not what you asked for</html>")

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    ended = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    if how == "refused":
        server.server_close()
        yield address
        return
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        time.sleep(0)
