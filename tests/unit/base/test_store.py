"""Addresses of stores of checkpoints."""

from pathlib import Path

import pytest

from rnnbench.base.errors import InputError
from rnnbench.base.home import Home
from rnnbench.base.store import Address, FolderStore


@pytest.mark.parametrize(
    ("text", "environ", "found"),
    [
        ("s3://bucket", {}, Address("bucket", None, None)),
        ("s3://bucket/a/b/", {"AWS_REGION": "eu-west-1"}, Address("bucket/a/b", None, "eu-west-1")),
        ("s3://bucket/a", {"MLFLOW_S3_ENDPOINT_URL": "http://s3:8333"}, Address("bucket/a", "http://s3:8333", "us-east-1")),
        (
            "s3://bucket",
            {"MLFLOW_S3_ENDPOINT_URL": "http://other", "AWS_ENDPOINT_URL": "http://s3:8333", "AWS_DEFAULT_REGION": "x"},
            Address("bucket", "http://s3:8333", "x"),
        ),
        (
            "s3://bucket",
            {"AWS_ENDPOINT_URL": "http://other", "AWS_ENDPOINT_URL_S3": "http://s3"},
            Address("bucket", "http://s3", "us-east-1"),
        ),
        (
            "s3://bucket/a?endpoint_override=http://s3:8333&region=eu",
            {"AWS_ENDPOINT_URL": "http://other", "AWS_REGION": "x"},
            Address("bucket/a", "http://s3:8333", "eu"),
        ),
    ],
)
def test_an_address_says_where_and_the_environment_what_it_leaves_out(text: str, environ: dict[str, str], found: Address) -> None:
    assert Address.parse(text, environ) == found


@pytest.mark.parametrize(
    "text",
    [
        "bucket",
        "/shared/checkpoints",
        "s3:/bucket",
        "s3://",
        "s3:///a",
        "gs://bucket",
        "s3://bucket#a",
        "s3://b?x",
        "s3://[b",
        "s3://b?key=1",
    ],
)
def test_what_is_no_address_is_one_line_that_says_what_one_is(text: str) -> None:
    with pytest.raises(InputError, match="must be s3://BUCKET/PREFIX") as caught:
        Address.parse(text, {})
    assert "\n" not in str(caught.value)


def test_a_key_in_an_address_is_refused_and_not_shown() -> None:
    for text in ("s3://AKIA:top-secret@bucket/a", "s3://bucket/a?secret_key=top-secret"):
        with pytest.raises(InputError) as caught:
            Address.parse(text, {})
        assert "top-secret" not in str(caught.value)


def test_a_home_keeps_checkpoints_in_its_folder_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    assert isinstance(Home.at(str(tmp_path), {"RNNBENCH_CHECKPOINTS": ""}).store, FolderStore)
    assert Home.at(str(tmp_path), {"RNNBENCH_CHECKPOINTS": "s3://a/b"}).store_address == "s3://a/b"
    assert Home.at(str(tmp_path), {"RNNBENCH_CHECKPOINTS": "s3://a/b"}, "s3://c").store_address == "s3://c"
    with pytest.raises(InputError, match="must be s3://"):
        Home.at(str(tmp_path), {"RNNBENCH_CHECKPOINTS": "/shared"})
