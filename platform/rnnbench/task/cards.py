"""A task's card, task.yaml, as frozen plain data; read strictly, without importing the task's code. No torch."""

import math
from collections.abc import Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from rnnbench.base.errors import InputError
from rnnbench.base.parameters import Parameter

_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True, config=_STRICT)
class MetricCard:
    """The metric that search and early stopping see: its name among the module's metrics, which way is better, its unit."""

    name: str
    title: str
    direction: Literal["max", "min"]
    unit: str


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _below(path: str) -> str:
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or pure.as_posix() != path:
        raise ValueError("must be a path below the data home, e.g. imdb/train.jsonl.gz")
    return path


@dataclass(frozen=True, config=_STRICT)
class DataFile:
    """A file of a data set: its place below the data home, public address, checksum and size.

    The address is empty for a file that nobody publishes in this form; the checksum for one whose publisher gives none and that may change.

    Attributes:
        unpacked_sha256: Of what a gzip file holds: packed anew, by whatever program, it is as good as the published one.
    """

    path: Annotated[str, AfterValidator(_below)]
    url: Annotated[str, Field(pattern="^(https?://[^\\s]+)?$")] = ""
    sha256: Sha256 | None = None
    unpacked_sha256: Sha256 | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, config=_STRICT)
class Floor:
    """What a baseline without a recurrent network reaches on the test split, in the task's metric."""

    value: float
    baseline: str


@dataclass(frozen=True, config=_STRICT)
class DataCard:
    """A data set; embedded ones have no files, and `version` is raised by hand when what they hold changes.

    Attributes:
        files: As they are published, to be fetched.
        or_files: Other forms of the same data, each a whole list of files, that serve as well where they are at hand.
        varies_with_python: Whether an embedded set is the standard library's own text, which each version of Python has another of.
    """

    title: str
    licence: str
    rows: str
    embedded: bool = False
    version: int = 1
    files: tuple[DataFile, ...] = ()
    or_files: tuple[tuple[DataFile, ...], ...] = ()
    varies_with_python: bool = False
    floor: Floor | None = None


@dataclass(frozen=True, config=_STRICT)
class OwnDataCard:
    """What a person's own files may be, in one line of words; and their floor and rows are found when they are read.

    Attributes:
        manifests: Endings of a table that names other files: whoever gives one gives the whole folder that it lies in.
    """

    accepts: str
    manifests: tuple[str, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class PublishedNumber:
    """A test value from the literature, with its source and set-up.

    Attributes:
        asked: Values of `TaskCard.question` that it was reached with; those that are not named are the defaults, or make no difference.
    """

    cell: str
    data: str
    value: float
    source: str
    setup: str
    asked: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class MustBeat:
    """What a method without memory reaches, which a trial must beat to count as having solved anything at all.

    Attributes:
        baseline: Its name among the data's facts (`TaskData.facts`): the level of validation data.
        on_test: The name of the level of test data, where it is another; None: the same.
        perfect: The best value that there is.
        margin: Share of the way from the baseline to `perfect` that must be gone, so that chance does not pass for memory.
        words: How the level follows from the parameters.
    """

    baseline: str
    perfect: float
    words: str
    on_test: str | None = None
    margin: float = Field(default=0.1, gt=0, lt=1)


@dataclass(frozen=True, config=_STRICT)
class TaskCard:
    """A task as the platform knows it before any of its code runs.

    Attributes:
        version: Raised by hand when the task's numbers change; part of every trial's key.
        ranges: The least and the greatest value that numbers of the test split can have, by name; `*` in a name stands for anything,
            null for no bound. An interval over seeds never leaves them.
        data: Its data sets by name.
        own_data: What it takes of a person's own files; None: nothing.
        parameters: The `task.*` and `data.*` parameters.
        question: Those that change what is asked or what is learned from, such as a length, a horizon or the size of the training
            split: trials that differ in one are never compared. All others are a model's.
        must_beat: Of a memory problem, the level of a method without memory; a trial that does not beat it is `unsolved`.
        predict: Options of `rnnbench predict`, `predict.*`; None where the task's models cannot be asked.
        predict_input: What they are asked with: lines of text, or files that the task reads itself (sound, tables).
        predict_column: Of a task of lines, the parameter that names the column of texts of a table (.csv, .tsv, .jsonl) that a model is
            asked with; None: every file is one of lines.
        data_parallel: Whether a batch's rows can be shared among processes (`resources.workers`); not where state is carried from
            batch to batch.
        module: Import path of its code.
    """

    name: str
    version: int
    title: str
    summary: str
    metric: MetricCard
    data: Mapping[str, DataCard]
    default_data: str
    module: str
    parameters: tuple[Parameter, ...] = ()
    question: tuple[str, ...] = ()
    predict: tuple[Parameter, ...] | None = None
    predict_input: Literal["lines", "files"] = "lines"
    predict_column: str | None = None
    published: tuple[PublishedNumber, ...] = field(default=())
    own_data: OwnDataCard | None = None
    must_beat: MustBeat | None = None
    data_parallel: bool = True
    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)

    def range_of(self, name: str) -> tuple[float, float]:
        """The least and the greatest value of a number of the test split, as far as `ranges` has it; infinite where it has not."""
        low, high = next((bounds for pattern, bounds in self.ranges.items() if fnmatchcase(name, pattern)), (None, None))
        return -math.inf if low is None else low, math.inf if high is None else high


def parse_card(text: str, module: str, where: str) -> TaskCard:
    """The card of a task.yaml's text.

    Args:
        module: Import path of the task's code.
        where: The file's name, for messages.
    Raises:
        InputError: not YAML 1.2, or a key is missing, unknown or of a wrong type.
    """
    try:
        content: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
        parameters = tuple(_parameter(name, declared, where) for name, declared in content.pop("parameters", {}).items())
        options = content.pop("predict", None)
        predict = None if options is None else tuple(_parameter(f"predict.{name}", one, where) for name, one in options.items())
        found = {**content, "module": module, "parameters": parameters, "predict": predict}
        card = TypeAdapter(TaskCard).validate_python(found)
    except YAMLError as error:
        raise InputError(f"{where}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if card.default_data not in card.data:
        raise InputError(f"{where}: default_data '{card.default_data}' is not among its data sets: {', '.join(card.data)}")
    for name, (low, high) in card.ranges.items():
        if low is not None and high is not None and low >= high:
            raise InputError(f"{where}: ranges: {name}: [{low:g}, {high:g}] is empty")
    if unknown := set(card.question) - {parameter.name for parameter in parameters}:
        raise InputError(f"{where}: question: {', '.join(sorted(unknown))}: not among its parameters")
    if card.predict_column is not None and card.predict_column not in {parameter.name for parameter in parameters}:
        raise InputError(f"{where}: predict_column: {card.predict_column}: not among its parameters")
    if unknown := {name for number in card.published for name in number.asked} - set(card.question):
        raise InputError(f"{where}: published: asked: {', '.join(sorted(unknown))}: not part of its question")
    return card


def _parameter(name: str, declared: dict[str, Any], where: str) -> Parameter:
    if not name.startswith(("task.", "data.", "predict.")):
        raise InputError(f"{where}: parameter '{name}' must start with task. or data.")
    try:
        choices = {"choices": tuple(declared["choices"])} if "choices" in declared else {}
        parameter = Parameter(**{"name": name, **declared, **choices})
    except TypeError as error:
        raise InputError(f"{where}: parameter '{name}': {error}") from error
    parameter.check(parameter.default)
    return parameter
