"""`training.init_from`: from the name of a trained model to its trial's key, which is part of the keys of those that start from it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rnnbench.base.errors import RnnbenchError, SweepFileError, UnknownNameError
from rnnbench.base.home import Home
from rnnbench.base.parameters import Value
from rnnbench.ledger.store import Ledger
from rnnbench.search.domains import Domain
from rnnbench.search.sweepfile import Dimension, SweepFile
from rnnbench.sweep.winner import find_trial, model_path
from rnnbench.trial.files import BEST
from rnnbench.trial.parameters import INIT_FROM
from rnnbench.trial.spec import TrialSpec

KEY_CHARS = 64


def needs_sources(sweep: SweepFile) -> bool:
    """Whether some trial of the sweep starts from a trained model, which has to be found."""
    return any(value is not None for value in _values(sweep.space))


def find_sources(sweep: SweepFile, ledger: Ledger, home: Home, *, is_new: bool = False) -> SweepFile:
    """The sweep with each named model (SWEEP, SWEEP/TRIAL or a trial's whole key) replaced by its trial's key.

    A sweep that has begun stays with the models that it began with, whatever has won its source since.

    Args:
        is_new: It is none of those in the ledger, whatever its name is.
    Raises:
        SweepFileError: no such sweep or trial, no result, its model is not kept, or two names mean one model; at its place in the file.
    """
    found = None if is_new else ledger.find_sweep(sweep.name)
    begun = _recorded(found.settings) if found else []
    keys: dict[Value, Value] = {None: None}
    for number, name in enumerate(_values(sweep.space)):
        if name is None:
            continue
        before = begun[number] if number < len(begun) else None
        try:
            key = before if before and _means(str(name), before, ledger) else _find_key(str(name), ledger, home)
        except RnnbenchError as error:
            raise SweepFileError(f"{INIT_FROM}: {error}", _place(sweep, number)) from error
        if key in keys.values():
            raise SweepFileError(f"{INIT_FROM}: {name} is a model that stands there already, trial {key[:8]}", _place(sweep, number))
        keys[name] = key
    return replace(sweep, space=tuple(_with_keys(one, keys) for one in sweep.space))


def nothing_ran(sweep: SweepFile, where: str) -> SweepFileError:
    """The error of a sweep whose trials start from a trained model, where no sweep has run at all; `needs_sources` says whether they do."""
    number, name = next((number, name) for number, name in enumerate(_values(sweep.space)) if name is not None)
    return SweepFileError(f"{INIT_FROM}: no '{name}': nothing has run in {where} yet; run that sweep first", _place(sweep, number))


def source_path(spec: TrialSpec, home: Home) -> str | None:
    """Where the model is that a trial starts from, see `Job.init_from`; None: it starts from nothing."""
    key = spec.parameters.get(INIT_FROM)
    return None if key is None else str(home.trial_folder(str(key)) / BEST)


def source_keys(ledger: Ledger) -> set[str]:
    """Keys of the trials whose models some trial of the ledger starts from; without them it could not be run, or run again."""
    return {str(key) for sweep in ledger.list_sweeps() for key in _recorded(sweep.settings) if key is not None}


def _values(space: Sequence[Dimension]) -> Sequence[Value]:
    return next((one.domain.values for one in space if one.name == INIT_FROM), ())


def _recorded(settings: Mapping[str, Any]) -> list[str | None]:
    """The keys in a recorded sweep's settings, in the order of its list."""
    line = (settings.get("space") or {}).get(INIT_FROM) or {}
    return [key for kind, keys in line.items() if kind != "when" for key in (keys if isinstance(keys, list) else [keys])]


def _means(name: str, key: str, ledger: Ledger) -> bool:
    """Whether a name could have been found to be that key."""
    sweep, _, start = name.partition("/")
    return name == key or (key.startswith(start) and sweep in ledger.holders(key))


def _find_key(name: str, ledger: Ledger, home: Home) -> str:
    target = name
    if len(name) == KEY_CHARS and all(char in "0123456789abcdef" for char in name):
        holders = ledger.holders(name)
        if not holders:
            raise UnknownNameError(f"no sweep here has a trial of the key {name}")
        target = f"{holders[0]}/{name}"
    trial = find_trial(ledger, target)
    model_path(home, trial, f"{target.partition('/')[0]}/{trial.key[:8]}")
    return trial.key


def _with_keys(dimension: Dimension, keys: Mapping[Value, Value]) -> Dimension:
    if dimension.name == INIT_FROM:
        values = tuple(keys[value] for value in dimension.domain.values)
        return replace(dimension, domain=Domain(dimension.domain.kind, values))
    if INIT_FROM in dimension.when:
        named = tuple(keys.get(value, value) for value in dimension.when[INIT_FROM])
        return replace(dimension, when={**dimension.when, INIT_FROM: named})
    return dimension


def _place(sweep: SweepFile, number: int) -> str:
    kind = next(one.domain.kind for one in sweep.space if one.name == INIT_FROM)
    return sweep.where("space", INIT_FROM, kind, number)
