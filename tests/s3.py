"""An S3 store on 127.0.0.1 that checks signatures (moto's), can be away for a while, and can fail requests."""

import json
import logging
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast
from wsgiref.types import StartResponse, WSGIEnvironment

if TYPE_CHECKING:
    # Loaded where they are used: without moto the tests of stores are skipped, not the modules that they are in.
    from werkzeug.serving import BaseWSGIServer

BUCKET = "team"
ADDRESS = f"s3://{BUCKET}/checkpoints"
REGION = "us-east-1"


class Server:
    """The store; it keeps its objects while it is stopped.

    Attributes:
        environ: What a client's environment says.
        fails: Whether a request (method, path, query) is answered 500.
        asked: Every request, as method and path.
    """

    def __init__(self) -> None:
        import moto.settings
        from moto.core.authorization import ActionAuthenticatorMixin
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.fails: Callable[[str, str, str], bool] = lambda method, path, query: False
        self.asked: list[tuple[str, str]] = []
        self._store = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer | None = None
        self._port = 0
        self.start()
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self._client("s3", "first", "first").create_bucket(Bucket=BUCKET)
        iam = self._client("iam", "first", "first")
        iam.create_user(UserName="trials")
        statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        iam.put_user_policy(
            UserName="trials", PolicyName="all", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        )
        made = iam.create_access_key(UserName="trials")["AccessKey"]
        self._keys: tuple[str, str] = made["AccessKeyId"], made["SecretAccessKey"]
        # From now on moto asks for a signature.
        ActionAuthenticatorMixin.request_count = 0
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0

    @property
    def environ(self) -> dict[str, str]:
        key, secret = self._keys
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    @property
    def secret(self) -> str:
        return self._keys[1]

    def start(self) -> None:
        from werkzeug.serving import make_server

        self._server = make_server("127.0.0.1", self._port, self._answer, threaded=True)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def objects(self) -> dict[str, bytes]:
        """What is below the prefix, by name, as another client sees it."""
        client = self._client("s3", *self._keys)
        found = client.list_objects_v2(Bucket=BUCKET, Prefix="checkpoints/").get("Contents", [])
        names = [each["Key"] for each in found if not each["Key"].endswith("/")]
        return {name.removeprefix("checkpoints/"): client.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}

    def replace(self, name: str, content: bytes) -> None:
        self._client("s3", *self._keys).put_object(Bucket=BUCKET, Key=f"checkpoints/{name}", Body=content)

    def reset(self) -> None:
        """Answers again, and holds nothing."""
        self.fails = lambda method, path, query: False
        if self._server is None:
            self.start()
        client = self._client("s3", *self._keys)
        for each in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=each["Key"])
        self.asked.clear()

    def _client(self, service: str, key: str, secret: str) -> Any:  # boto3 makes its classes while it runs
        import boto3

        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=key, aws_secret_access_key=secret)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        self.asked.append((method, path))
        if self.fails(method, path, query):
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        return cast("Iterable[bytes]", self._store(environ, start_response))
