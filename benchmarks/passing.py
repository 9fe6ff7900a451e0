"""A server in front of another one: every request goes on to it and its answer comes back, unless something happens before."""

import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler


class PassesOn(BaseHTTPRequestHandler):
    """Whoever derives from it says what is behind, and in `before` what happens first.

    Attributes:
        behind: Address of the other server.
    """

    behind = ""

    def before(self) -> None:
        """What happens to a request before it goes on: nothing."""

    def do_GET(self) -> None:
        """Passes a request on."""
        self.before()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        asked = urllib.request.Request(self.behind + self.path, body, dict(self.headers), method=self.command)
        try:
            with urllib.request.urlopen(asked) as answer:
                status, kind, words = answer.status, answer.headers.get("Content-Type", ""), answer.read()
        except urllib.error.HTTPError as refused:
            status, kind, words = refused.code, refused.headers.get("Content-Type", ""), refused.read()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    do_POST = do_PUT = do_PATCH = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""
