"""Some reviews as IMDB's publisher hands them out, and as tables."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

REVIEWS = {
    "train/neg/0_3": "Bad. <br /><br />Very\u0085bad",
    "train/neg/10_1": "Worse",
    "train/neg/2_2": "Bad too",
    "train/pos/0_9": "Fine",
    "train/pos/1_9": "Worse",
    "test/neg/0_1": "No",
    "test/pos/1_10": "Fine",
}


def review_files(folder: Path, reviews: Mapping[str, str] = REVIEWS) -> tuple[dict[str, Path], dict[str, Path]]:
    """The same reviews in the publisher's archive and in tables."""
    archive = folder / "aclImdb_v1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        # In another order than their numbers', with what else is in the archive.
        for name in [*reversed(list(reviews)), "train/unsup/0_0", "train/urls_neg"]:
            content = reviews.get(name, "no label").encode()
            member = tarfile.TarInfo(f"aclImdb/{name}.txt")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    tables = {f"{split}.jsonl.gz": folder / f"{split}.jsonl.gz" for split in ("train", "test")}
    for split in ("train", "test"):
        lines = [json.dumps({"id": name.split("/", 1)[1], "text": text}) for name, text in reviews.items() if name.startswith(split)]
        tables[f"{split}.jsonl.gz"].write_bytes(gzip.compress("\n".join(lines).encode()))
    return {archive.name: archive}, tables
