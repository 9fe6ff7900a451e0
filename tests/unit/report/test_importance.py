"""Functional ANOVA on functions whose decomposition is known, against brute force, and against Optuna's."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.report import pages, peers
from rnnbench.report.axes import find_scales
from rnnbench.report.forests import Boxes, grow_tree
from rnnbench.report.importance import Marginal, find_basin, find_importance, why_not
from rnnbench.report.pages import write_report
from rnnbench.report.peers import find_peers
from rnnbench.report.tables import Summary, build_comparisons
from tests.unit.report.test_report import confirmed, searched, study, trial

LR, DROPOUT, SIZE = "optimizer.lr", "network.dropout", "network.hidden_size"
Function = Callable[[float, float], float]


def summary(function: Function, number: int = 400, more: Callable[[int], dict[str, Value]] = lambda place: {}) -> Summary:
    """Trials of a learning rate in 1e-4 to 1e-1, evenly in its logarithm, and a dropout in 0 to 1; the function sees both in 0 to 1."""
    rng = np.random.default_rng(3)
    trials = []
    for place in range(number):
        x, y = rng.random(2)
        one = trial("gru", place, function(x, y))
        parameters = {**one.spec.parameters, LR: 10 ** (-4 + 3 * x), DROPOUT: y, **more(place)}
        trials.append(replace(one, spec=replace(one.spec, parameters=parameters), key=f"{place:064d}"))
    (comparison,) = build_comparisons([study(trials)])
    return comparison.rows[0]


def shares(function: Function, **given: object) -> dict[tuple[str, ...], float]:
    found = find_importance(summary(function, **given), {LR: "log"})  # type: ignore[arg-type]
    assert found is not None
    return {effect.names: effect.share for effect in (*found.main, *found.pairs)}


def test_the_shares_of_a_sum_are_those_of_its_terms() -> None:
    # The variance of a uniform variable is 1/12, so 2 x + y has shares of 4/5 and 1/5.
    found = shares(lambda x, y: 2 * x + y)
    assert found[LR,] == pytest.approx(0.8, abs=0.05)
    assert found[DROPOUT,] == pytest.approx(0.2, abs=0.05)
    assert found[DROPOUT, LR] < 0.05


def test_what_two_parameters_do_only_together_is_their_pairs() -> None:
    found = shares(lambda x, y: float((x > 0.5) != (y > 0.5)))
    assert found[LR,] < 0.1
    assert found[DROPOUT,] < 0.1
    assert found[DROPOUT, LR] > 0.8


def test_the_rates_scale_decides() -> None:
    linear = find_importance(summary(lambda x, y: x), {})
    log = find_importance(summary(lambda x, y: x), {LR: "log"})
    assert linear is not None
    assert log is not None
    assert {m.name: m for m in log.marginals}[LR].mean == pytest.approx(np.linspace(0, 1, 25), abs=0.06)
    assert {m.name: m for m in linear.marginals}[LR].mean[1] > 0.4  # 4 % of the linear range is half of the draws


def test_a_trees_shares_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    places = rng.random((80, 3))
    tree = grow_tree(1).fit(places, np.sin(5 * places[:, 0]) * places[:, 1] + 0.3 * places[:, 2])
    boxes = Boxes.of(tree, np.zeros(3), np.ones(3))
    middles = (np.arange(64) + 0.5) / 64
    grid = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1)
    told = tree.predict(grid.reshape(-1, 3)).reshape(64, 64, 64)
    main = [told.mean(axis=tuple(set(range(3)) - {d})).var() / told.var() for d in range(3)]
    assert boxes.main() == pytest.approx(main, abs=0.02)
    assert boxes.pair(0, 1) == pytest.approx(told.mean(axis=2).var() / told.var() - main[0] - main[1], abs=0.02)
    assert boxes.marginal(1, middles) == pytest.approx(told.mean(axis=(0, 2)), abs=0.02)


def test_optuna_finds_the_same_order_and_much_the_same_shares() -> None:
    optuna = pytest.importorskip("optuna", reason="needs optuna: pip install 'rnnbench[search]'")
    row = summary(lambda x, y: (x - 0.3) ** 2 + 0.2 * y, number=200)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    peer = optuna.create_study()
    domains = {LR: optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True), DROPOUT: optuna.distributions.FloatDistribution(0, 1)}
    for one in row.completed:
        parameters = {name: one.spec.parameters[name] for name in domains}
        peer.add_trial(optuna.create_trial(params=parameters, distributions=domains, value=one.best))
    evaluators = optuna.importance
    theirs = evaluators.get_param_importances(peer, evaluator=evaluators.FanovaImportanceEvaluator(seed=0))
    ours = find_importance(row, {LR: "log"})
    assert ours is not None
    # Its evaluator by impurity agrees on what mattered more; PED-ANOVA asks what sets the best tenth apart, which is another question.
    impurity = evaluators.MeanDecreaseImpurityImportanceEvaluator(seed=0)
    assert list(evaluators.get_param_importances(peer, evaluator=impurity)) == list(theirs)
    assert [effect.names[0] for effect in ours.main] == list(theirs)
    total = sum(effect.share for effect in ours.main)
    assert {effect.names[0]: effect.share / total for effect in ours.main} == pytest.approx(theirs, abs=0.08)


def test_the_report_has_what_optunas_evaluators_say_of_the_same_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optuna = pytest.importorskip("optuna", reason="needs optuna: pip install 'rnnbench[search]'")
    sizes = (8, 16, 64)
    row = summary(lambda x, y: 2 * x + y, 80, lambda place: {SIZE: sizes[place % 3]})
    found = {peer.method: peer for peer in find_peers(row, {LR: "log"})}
    assert list(found) == ["functional ANOVA", "mean decrease of impurity", "PED-ANOVA"]
    for peer in found.values():
        assert peer.num_trials == 80
        assert set(peer.shares) == {LR, DROPOUT, SIZE}
        assert sum(peer.shares.values()) == pytest.approx(1)
        assert next(iter(peer.shares)) == LR
    assert found["functional ANOVA"].shares[LR] == pytest.approx(0.8, abs=0.1)
    # Of very many trials, some are drawn.
    monkeypatch.setattr(peers, "MOST_FOR_FANOVA", 30)
    drawn, whole, _ = find_peers(row, {LR: "log"})
    assert (drawn.num_trials, whole) == (30, found["mean decrease of impurity"])
    files = write_report([study(list(row.searched))], tmp_path)
    (comparison,) = json.loads(files.json.read_text())["comparisons"]
    told = comparison["cells"][0]["importance"]["peers"]
    assert [peer["method"] for peer in told] == list(found)
    page = files.html.read_text()
    assert "of at most 100 trials" in page
    assert f"<td>{100 * told[2]['shares'][LR]:.0f} %</td></tr>" in page
    assert "PED-ANOVA asks another question" in page
    assert "PED-ANOVA" in files.markdown.read_text()
    assert "PED-ANOVA" in files.latex.read_text()
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    monkeypatch.setattr(peers, "is_installed", lambda: False)
    assert find_peers(row, {LR: "log"}) == ()
    assert "Optuna" not in write_report([study(list(row.searched))], tmp_path).html.read_text()


def test_intervals_hold_the_truth_and_shrink_with_more_trials() -> None:
    def main(number: int) -> tuple[float, float]:
        found = find_importance(summary(lambda x, y: 2 * x + y, number), {LR: "log"})
        assert found is not None
        assert found.main[0].low <= found.main[0].share <= found.main[0].high
        return found.main[0].low, found.main[0].high

    few, many = main(30), main(1000)
    assert few[0] <= 0.8 <= few[1]
    assert many[1] - many[0] < 0.5 * (few[1] - few[0])


def test_noise_is_called_unexplained() -> None:
    rng = np.random.default_rng(1)
    noise = find_importance(summary(lambda x, y: rng.random()), {LR: "log"})
    told = find_importance(summary(lambda x, y: x), {LR: "log"})
    assert noise is not None
    assert told is not None
    assert noise.explained < 0.1
    assert told.explained > 0.95


def test_levels_weigh_alike_and_parameters_that_some_trials_lack_are_left_out() -> None:
    sizes = (8, 16, 64)
    row = summary(
        lambda x, y: 0.0, more=lambda place: {SIZE: sizes[place % 3]} | ({"cell.forget_bias": 1.0 * (place % 4)} if place % 2 else {})
    )
    row = replace(row, searched=tuple(replace(t, best=float(t.spec.parameters[SIZE] == 64)) for t in row.searched))
    found = find_importance(row, {LR: "log"})
    assert found is not None
    assert found.left_out == ("cell.forget_bias",)
    marginal = next(one for one in found.marginals if one.name == SIZE)
    assert (marginal.levels, marginal.at) == (True, sizes)
    assert marginal.mean == pytest.approx((0, 0, 1), abs=0.02)
    assert found.main[0].names == (SIZE,)
    assert found.main[0].share > 0.9


def test_the_basin_is_what_is_as_good_as_the_best_and_says_where_the_search_ended() -> None:
    at = tuple(float(10**x) for x in np.linspace(-4, -1, 7))

    def basin(*mean: float, sign: float = 1.0) -> tuple[float, float, bool, bool]:
        found = find_basin(Marginal(LR, "log", False, at, mean, mean, mean), sign)
        return round(np.log10(found.low), 3), round(np.log10(found.high), 3), found.open_low, found.open_high

    assert basin(0.0, 0.5, 0.95, 1.0, 0.92, 0.2, 0.0) == (-3.0, -2.0, False, False)
    assert basin(0.0, 0.5, 0.95, 1.0, 0.92, 0.2, 0.95) == (-3.0, -2.0, False, False)
    assert basin(1.0, 0.95, 0.5, 0.0, 0.0, 0.0, 0.0) == (-4.0, -3.5, True, False)
    assert basin(1.0, 0.95, 0.5, 0.0, 0.05, 0.06, 0.0, sign=-1.0) == (-2.5, -1.0, False, True)


def test_where_it_would_not_be_valid_it_is_refused_with_the_reason() -> None:
    few = build_comparisons([study(searched("gru", [0.1 * place for place in range(19)]))])[0].rows[0]
    assert why_not(few) == "19 completed trials, 20 are needed"
    stopped = searched("gru", [0.01 * i for i in range(30)])
    stopped[3] = replace(stopped[3], outcome={**stopped[3].outcome, "stopped_at": 1})
    assert "stopped trials early" in str(why_not(build_comparisons([study(stopped)])[0].rows[0]))
    flat = build_comparisons([study(searched("gru", [0.5] * 30))])[0].rows[0]
    assert why_not(flat) == "all trials are equally good"
    half = [
        replace(one, status=Status.DIVERGED) if place % 5 > 1 else one
        for place, one in enumerate(searched("gru", [0.01 * i for i in range(60)]))
    ]
    assert why_not(build_comparisons([study(half)])[0].rows[0]) == "36 trials have no result"
    assert find_importance(few, {}) is None


def test_scales_are_those_of_the_sweep_file() -> None:
    one = study(searched("gru", [0.1]))
    space = {
        "optimizer.lr": {"loguniform": [1e-4, 1e-1]},
        "optimizer.momentum": {"one_minus_loguniform": [0.01, 1.0]},
        "network.dropout": {"uniform": [0, 1]},
    }
    one = replace(one, sweep=replace(one.sweep, settings={**one.sweep.settings, "space": space}))
    assert find_scales([one]) == {"optimizer.lr": "log", "optimizer.momentum": "one_minus_log"}


def test_the_report_says_what_mattered_or_why_it_cannot(tmp_path: Path) -> None:
    gru = list(summary(lambda x, y: 0.5 + 0.3 * x + 0.1 * y, number=60).searched)
    one = study([*gru, *searched("lstm", [0.5, 0.6])])
    one = replace(one, sweep=replace(one.sweep, settings={**one.sweep.settings, "space": {LR: {"loguniform": [1e-4, 1e-1]}}}))
    files = write_report([one], tmp_path)
    (comparison,) = json.loads(files.json.read_text())["comparisons"]
    told = {cell["cell"]: cell["importance"] for cell in comparison["cells"]}
    assert told["gru"]["main"][0]["names"] == [LR]
    assert told["gru"]["basin"]["open_high"]
    assert told["lstm"] == {"why_not": "2 completed trials, 20 are needed"}
    page = files.html.read_text()
    share = f"{LR} {100 * told['gru']['main'][0]['share']:.0f} %"
    assert share in page
    assert share in files.markdown.read_text()
    assert "Not for lstm: 2 completed trials, 20 are needed" in page
    pair = told["gru"]["pairs"][0]
    words = f"{' with '.join(pair['names'])} {100 * pair['share']:.0f} %"
    assert words in page
    assert words in files.markdown.read_text()
    assert " with ".join(pair["names"]).replace("_", r"\_") in files.latex.read_text()
    assert {"sequential_digits-digits-importance", "sequential_digits-digits-marginals"} <= {path.stem for path in files.figures}


def lost(trials: list[TrialRecord]) -> list[TrialRecord]:
    return [replace(trials[0], status=Status.DIVERGED), *trials[1:]]


ENOUGH = searched("gru", [0.01 * place for place in range(20)])
SAME = [replace(one, spec=replace(one.spec, parameters={"optimizer.lr": 0.1})) for one in ENOUGH]
WAITING = [replace(one, status=Status.PENDING, best=None) for one in ENOUGH]


@pytest.mark.parametrize(
    ("trials", "method", "has_scheduler", "expected"),
    [
        (WAITING, "random", False, True),
        (WAITING, "grid", False, True),
        (WAITING, "tpe", False, False),
        (WAITING, "random", True, False),
        (ENOUGH, "random", False, True),
        (ENOUGH[1:], "random", False, False),
        (lost(ENOUGH), "random", False, False),
        ([*ENOUGH[:19], *confirmed("gru", [0.9] * 5)], "random", False, False),
        ([*ENOUGH[:12], *searched("lstm", [0.1] * 12)], "random", False, False),
        (SAME, "random", False, False),
    ],
)
def test_only_what_the_report_will_use_is_loaded_before(
    trials: list[TrialRecord], method: str, has_scheduler: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(pages, "import_module", loaded.append)
    pages.load(trials, method, has_scheduler=has_scheduler)
    assert loaded == ["pyarrow.parquet", *(["sklearn.tree"] if expected else [])]
    if not has_scheduler and method == "random":
        finished = [
            replace(one, status=Status.COMPLETED, best=0.01 * place) if one.best is None else one for place, one in enumerate(trials)
        ]
        rows = build_comparisons([study(finished)])[0].rows
        assert any(why_not(row) is None for row in rows) == expected, "what the report itself says"
