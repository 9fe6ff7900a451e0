"""What a completed trial leaves of its model: weights as safetensors, the rest as JSON. No torch: who gives it away needs none."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rnnbench.base.errors import CheckpointError
from rnnbench.trial.files import CARD, FORMAT, PREPARATION, SPEC, WEIGHTS
from rnnbench.trial.sealed import is_sealed, read_sealed, write_sealed
from rnnbench.trial.spec import TrialSpec

_KIND = b"rnnbench-model 1"


@dataclass(frozen=True)
class Kept:
    """A trained model as it is kept.

    Attributes:
        preparation: What the task turns input into tensors with, as canonical JSON.
        own_cell: File, class name and source of a cell from a person's own file.
        weights: In the format of safetensors.
    """

    spec: TrialSpec
    input_size: int
    output_size: int
    preparation: str
    own_cell: Mapping[str, str] | None
    weights: bytes

    def save(self, path: Path) -> int:
        """Writes what `read_kept` reads, whole or not at all; returns the size in bytes."""
        facts = asdict(self) | {"spec": self.spec.to_dict()}
        weights: bytes = facts.pop("weights")
        return write_sealed(path, _KIND, json.dumps(facts, allow_nan=False).encode() + b"\n" + weights)

    def to_files(self, card: str, versions: Mapping[str, str]) -> dict[str, bytes]:
        """The files of an exported model by name; the one that holds the checksums of the others comes last.

        Args:
            card: The model card, Markdown.
            versions: Of what the model was trained and exported with, by name.
        """
        content = {WEIGHTS: self.weights, PREPARATION: (self.preparation + "\n").encode(), CARD: card.encode()}
        described = {
            "format": FORMAT,
            "key": self.spec.key(),
            "spec": self.spec.to_dict(),
            "input_size": self.input_size,
            "output_size": self.output_size,
            "versions": dict(versions),
            "own_cell": dict(self.own_cell) if self.own_cell else None,
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in content.items()},
        }
        return content | {SPEC: (json.dumps(described, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()}


def is_kept(path: Path) -> bool:
    """Whether a file says that it is a model of this format; earlier ones were pickles of tensors, which take torch to read."""
    return is_sealed(path, _KIND)


def read_kept(path: Path) -> Kept:
    """The model of a trial's `best.ckpt`.

    Raises:
        CheckpointError: missing, damaged, of another format or of other fields than this version's.
    """
    facts, _, weights = read_sealed(path, _KIND).partition(b"\n")
    try:
        found = json.loads(facts)
        return Kept(**found | {"spec": TrialSpec.from_dict(found["spec"]), "weights": weights})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a model that this version can use ({error}); {again()}") from error


def again() -> str:
    """What a person does about a model that cannot be used."""
    return "train it again: rnnbench train --trial SWEEP/TRIAL --export DIR"
