"""The report as plain data: every number that the pages show, and the trial keys it comes from."""

import statistics as plain
from collections.abc import Sequence, Set
from dataclasses import asdict
from typing import Any

from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report.across import Across
from rnnbench.report.amounts import Amounts
from rnnbench.report.budgets import Curve
from rnnbench.report.examined import find_confusion, find_examples, find_measures
from rnnbench.report.findings import Findings, describe, describe_order
from rnnbench.report.profiles import Profiles
from rnnbench.report.published import find_published
from rnnbench.report.rows import differing
from rnnbench.report.study import Study
from rnnbench.report.tables import Comparison, Summary, value
from rnnbench.report.words import answer, say_across


def build_document(
    studies: Sequence[Study],
    comparisons: Sequence[Comparison],
    findings: Sequence[Findings],
    amounts: Sequence[Amounts],
    across: Across | None,
    profiles: Profiles | str,
) -> dict[str, Any]:
    """Plain data of the whole report; floats are finite.

    Args:
        findings: Of each comparison.
        amounts: See `find_amounts`.
        profiles: Or why there are none.
    """
    unsolved = {key for comparison in comparisons for key in comparison.unsolved}
    return {
        "across": asdict(across) | {"answer": say_across(across)} if across else None,
        "profiles": {"why_not": profiles} if isinstance(profiles, str) else {"why_not": None} | asdict(profiles),
        "training_rows": [asdict(found) for found in amounts],
        "sweeps": [_sweep(study, unsolved) for study in studies],
        "comparisons": [
            {
                "task": comparison.task.name,
                "title": comparison.task.title,
                "data": comparison.data,
                "question": dict(comparison.question),
                "about": comparison.about,
                "metric": asdict(comparison.task.metric),
                "answer": answer(comparison),
                "order": "test" if comparison.tested else "validation",
                "machines": list(comparison.machines),
                "cells": [_cell(row, comparison) | describe(row, found) for row in comparison.rows],
                "pairs": [asdict(pair) for pair in found.pairs],
                "order_of_cells": describe_order(found.cell_order) if found.cell_order else None,
                "baselines": dict(comparison.baselines),
                "test_baselines": dict(comparison.test_baselines),
                "floor": _floor(comparison),
                "must_beat": asdict(comparison.bar) if comparison.bar else None,
                "published": [
                    asdict(one.number) | {"ours": one.ours, "verdict": one.verdict, "why_not": one.why_not}
                    for one in find_published(comparison)
                ],
            }
            for comparison, found in zip(comparisons, findings, strict=True)
        ],
    }


def _sweep(study: Study, unsolved: Set[str]) -> dict[str, Any]:
    sweep = study.sweep
    varied = differing(trial.spec.parameters for trial in study.trials)
    return {
        "name": sweep.name,
        "created_at": sweep.created_at.isoformat(timespec="seconds"),
        "seconds": sweep.session_s,
        "settings": sweep.settings,
        "environment": sweep.environment,
        "file": sweep.text,
        "processors": sorted({str(t.outcome["processor"]) for t in study.trials if t.outcome.get("processor")}),
        "threads": sorted({int(t.outcome["threads"]) for t in study.trials if t.outcome.get("threads")}),
        "forecast": _forecast(study) if study.forecast else None,
        "varied": varied,
        "trials": [_trial(trial) | {"unsolved": trial.key in unsolved} for trial in study.trials],
    }


def _forecast(study: Study) -> dict[str, Any]:
    """What was forecast beside what it took: of each cell seconds of an epoch, mean over its trials, and the most memory of a process."""
    assert study.forecast is not None, "checked by the caller"
    cells = []
    for cell in study.forecast["cells"]:
        place = (cell["task"], cell["data"], cell["cell"])
        ended = [
            trial
            for trial in study.trials
            if (trial.spec.task, trial.spec.data, trial.spec.cell) == place and trial.outcome.get("epochs") and trial.wall_s
        ]
        epoch_s = plain.fmean((trial.wall_s or 0.0) / trial.outcome["epochs"] for trial in ended) if ended else None
        memory = max((int(trial.outcome.get("peak_memory_bytes") or 0) for trial in ended), default=0) or None
        cells.append(
            {name: cell[name] for name in ("task", "data", "cell", "epoch_s", "memory_bytes", "sampled")}
            | {"took_epoch_s": epoch_s, "epoch_error": _error(epoch_s, cell["epoch_s"])}
            | {"took_memory_bytes": memory, "memory_error": _error(memory, cell["memory_bytes"])}
        )
    return {"seconds": study.forecast["seconds"], "took_seconds": study.sweep.session_s, "cells": cells}


def _error(took: float | None, forecast: float) -> float | None:
    """How much more or less it took than forecast, as a share; None where either is unknown."""
    return took / forecast - 1 if took and forecast else None


def _cell(row: Summary, comparison: Comparison) -> dict[str, Any]:
    difference = comparison.differences.get(row.cell)
    return {
        "cell": row.cell,
        "sweeps": list(row.sweeps),
        "search_trials": len(row.searched),
        "stopped_early": row.num_stopped,
        "counts": {status.value: row.counts[status] for status in Status},
        "best": _scored(row.best),
        "median": row.median,
        "interquartile_mean": asdict(row.iqm) if row.iqm else None,
        "test": {
            "mean": plain.fmean(row.test_values),
            "values": list(row.test_values),
            "interval": asdict(row.test) if row.test else None,
            "trials": [trial.key for trial in row.winner],
            "parameters": dict(row.winner[0].spec.parameters),
        }
        if row.test_values
        else None,
        "expected_best": _curve(row.budget, timed=comparison.timed) if row.budget else None,
        "measures": [asdict(measure) for measure in find_measures(row)],
        "confusion": asdict(confusion) if (confusion := find_confusion(row)) else None,
        "examples": find_examples(row),
        "leader_minus_this": asdict(difference) if difference else None,
        "num_parameters": row.parameters(),
        "median_seconds": row.seconds() if comparison.timed else None,
        "median_flops": row.flops(),
        "median_memory": asdict(memory) if (memory := row.memory()) else None,
        "median_gpu_memory": asdict(memory) if (memory := row.gpu_memory()) else None,
        "latency": asdict(latency) if (latency := comparison.latencies.get(row.cell)) else None,
        "beating": _beating(row, comparison),
        "top": [
            _scored(trial) | {"parameters": dict(trial.spec.parameters), "unsolved": trial.key in comparison.unsolved}
            for trial in row.top()
        ],
        "lost": [
            {
                "trial": trial.key,
                "status": trial.status.value,
                "category": trial.category,
                "error": (trial.error or "").strip().split("\n")[-1][:300],
            }
            for trial in (*row.searched, *row.winner)
            if trial.status in (Status.FAILED, Status.DIVERGED)
        ],
    }


def _beating(row: Summary, comparison: Comparison) -> dict[str, int] | None:
    """How many of how many trials beat what needs no memory; None where the task has no such level."""
    if comparison.bar is None:
        return None
    beating, total = comparison.beating(row)
    return {"trials": beating, "of": total}


def _curve(curve: Curve, *, timed: bool) -> dict[str, Any]:
    lines = {name: [float(one) for one in getattr(curve, name)] for name in ("expected", "low", "high")}
    seconds = curve.costs.get("seconds") if timed else None
    return {"trials": list(curve.num_draws), **lines, "seconds_a_trial": seconds, "flops_a_trial": curve.costs.get("flops")}


def _floor(comparison: Comparison) -> dict[str, Any] | None:
    card = comparison.task.data.get(comparison.data)
    return asdict(card.floor) if card and card.floor else None


def _scored(trial: TrialRecord | None) -> dict[str, Any]:
    return {} if trial is None else {"trial": trial.key, "value": value(trial), "epoch": trial.best_epoch}


def _trial(trial: TrialRecord) -> dict[str, Any]:
    spec = trial.spec
    facts = {"key": trial.key, "stage": spec.stage, "task": spec.task, "data": spec.data, "cell": spec.cell, "seed": spec.seed}
    numbers = {"best": trial.best, "best_epoch": trial.best_epoch, "seconds": trial.wall_s, "test": trial.outcome.get("test")}
    numbers |= {name: trial.outcome.get(name) for name in ("train_flops", "peak_memory_bytes", "peak_memory_of")}
    fingerprint = {
        "data_fingerprint": spec.data_fingerprint,
        "test_opened_at": trial.test_opened_at.isoformat() if trial.test_opened_at else None,
    }
    outcome = trial.outcome
    run = {"mode": f"fused ({outcome['fused']})" if outcome.get("mode") == "fused" else outcome.get("mode")}
    return (
        facts
        | run
        | {"status": trial.status.value, "stopped_at": trial.stopped_at, "parameters": dict(spec.parameters)}
        | numbers
        | fingerprint
    )
