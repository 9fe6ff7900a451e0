"""`training.init_from`: from the name of a trained model to its trial's key, which is part of the keys of those that start from it."""

from dataclasses import replace

from rnnbench.base.errors import RnnbenchError, SweepFileError
from rnnbench.base.home import Home
from rnnbench.base.parameters import Value
from rnnbench.ledger.store import Ledger
from rnnbench.search.domains import Domain
from rnnbench.search.sweepfile import Dimension, SweepFile
from rnnbench.sweep.winner import find_winner
from rnnbench.trial.files import BEST

INIT_FROM = "training.init_from"
KEY_CHARS = 64


def needs_sources(sweep: SweepFile) -> bool:
    """Whether some trial of the sweep may start from a trained model that is still to be found."""
    return any(_is_name(value) for one in sweep.space if one.name == INIT_FROM for value in one.domain.values)


def find_sources(sweep: SweepFile, ledger: Ledger, home: Home) -> SweepFile:
    """The sweep with each named model replaced by its trial's key.

    Raises:
        SweepFileError: no such sweep or trial, or its model is not kept; at its place in the file.
    """
    return replace(sweep, space=tuple(_found(one, sweep, ledger, home) if one.name == INIT_FROM else one for one in sweep.space))


def _found(dimension: Dimension, sweep: SweepFile, ledger: Ledger, home: Home) -> Dimension:
    def key_of(value: Value) -> Value:
        if not _is_name(value):
            return value
        name, _, key = str(value).partition("/")
        try:
            trial = ledger.get_trial(name, key) if key else find_winner(ledger, name)
        except RnnbenchError as error:
            raise SweepFileError(f"{INIT_FROM}: {error}", sweep.where("space", INIT_FROM)) from error
        if not (home.trial_folder(trial.key) / BEST).is_file():
            message = f"{INIT_FROM}: the model of {name}/{trial.key[:8]} is not kept in {home.path}; raise checkpoints.keep_best there"
            raise SweepFileError(message, sweep.where("space", INIT_FROM))
        return trial.key

    return replace(dimension, domain=Domain(dimension.domain.kind, tuple(key_of(value) for value in dimension.domain.values)))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and not (len(value) == KEY_CHARS and all(char in "0123456789abcdef" for char in value))
