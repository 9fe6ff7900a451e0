"""MLflow after a real sweep: what a person needs is on its pages, from the address that `rnnbench ui` prints."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.ledger.store import Ledger
from tests.browser.mlflow_page import find, find_all, open_page, serve, wait_until

if TYPE_CHECKING:
    from tests.browser.chromium import Browser

pytestmark = pytest.mark.slow
HEADS = "[role=columnheader][col-id]"
ROW = "[role=row][row-index]"


@pytest.fixture(scope="module")
def trials(small_home: Path) -> list[TrialRecord]:
    with Ledger.open(f"sqlite:///{small_home / 'rnnbench.db'}") as ledger:
        return list(ledger.trials("small"))


@pytest.fixture(scope="module")
def address(small_home: Path) -> Iterator[str]:
    with serve(small_home, "small") as found:
        yield found


def cells_of(browser: "Browser", row: int) -> dict[str, str]:
    """What a row of the runs' table says, by column; pinned columns are rows of their own."""
    selector = f"[role=row][row-index='{row}'] [col-id]"
    script = "return [...document.querySelectorAll(arguments[0])].map(one => [one.getAttribute('col-id'), one.innerText.trim()])"
    return dict(browser.ask(script, selector))


def test_the_trials_are_shown_best_first_with_the_columns_that_people_need(
    browser: "Browser", address: str, trials: list[TrialRecord]
) -> None:  # fmt: skip
    open_page(browser, address)
    find(browser, ROW)
    heads = browser.ask("return [...document.querySelectorAll(arguments[0])].map(one => one.getAttribute('col-id'))", HEADS)
    for wanted in ("tags.`cell`", "metrics.`best`", "tags.`status`", "params.`network.hidden_size`", "params.`optimizer.lr`"):
        assert wanted in heads
    find(browser, "div, span", f"{len(trials)} matching runs")
    ordered = sorted((trial.best for trial in trials if trial.best is not None), reverse=True)
    for place in range(3):
        shown = cells_of(browser, place)
        assert float(shown["metrics.`best`"]) == pytest.approx(ordered[place], rel=1e-6)
        (trial,) = [one for one in trials if one.key[:8] in shown["attributes.`Run Name`"]]
        assert shown["tags.`cell`"] == trial.spec.cell
        assert shown["tags.`status`"] == trial.status
        assert float(shown["params.`optimizer.lr`"]) == trial.spec.parameters["optimizer.lr"]


@pytest.mark.parametrize(
    ("words", "cell", "stage", "status"),
    [
        ("tags.cell = 'elman' and tags.status = 'diverged'", "elman", None, Status.DIVERGED),
        ("tags.task = 'sequential_digits' and tags.stage = 'confirm'", None, "confirm", None),
        ("tags.sweep = 'small' and tags.cell = 'gru'", "gru", None, None),
    ],
)
def test_the_documented_tags_filter_what_is_shown(
    browser: "Browser", address: str, trials: list[TrialRecord], words: str, cell: str | None, stage: str | None, status: Status | None
) -> None:
    from selenium.webdriver.common.keys import Keys

    expected = [
        trial
        for trial in trials
        if cell in (None, trial.spec.cell) and stage in (None, trial.spec.stage) and status in (None, trial.status)
    ]
    assert 0 < len(expected) < len(trials)
    open_page(browser, address)
    find(browser, "div, span", f"{len(trials)} matching runs")
    box = find(browser, "[data-testid='search-box']")
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(words, Keys.ESCAPE, Keys.ENTER)
    find(browser, "div, span", f"{len(expected)} matching run")
    names = [link.text for link in find_all(browser, f"{ROW} a")]
    assert all(any(trial.key[:8] in name for trial in expected) for name in names)


def test_chosen_trials_are_compared_in_parallel_coordinates(browser: "Browser", address: str, trials: list[TrialRecord]) -> None:
    open_page(browser, address)
    boxes = find_all(browser, f"{ROW} .ag-selection-checkbox input")
    for box in boxes[:8]:
        box.click()
    find(browser, "[data-testid='runs-compare-button']", "Compare").click()
    find(browser, "h1, h2", "Comparing 8 Runs")
    find(browser, "[role=tab]", "Parallel Coordinates Plot")
    plot = find(browser, ".js-plotly-plot")
    axes = wait_until(lambda: plot.text, "the plot has its axes")
    for wanted in ("best", "optimizer.lr", "cell"):
        assert wanted in axes
    assert "seed" not in axes


def test_the_note_says_the_answer_and_leads_to_the_report(browser: "Browser", small_home: Path, address: str) -> None:
    answer = "sequential digits (digits): test accuracy"
    open_page(browser, address)
    before = set(browser.driver.window_handles)
    find(browser, "[data-component-id='mlflow.experiment.metadata_editor.expand_button']").click()
    find(browser, "p", answer)
    find(browser, "a", "The whole report").click()
    (other,) = wait_until(lambda: set(browser.driver.window_handles) - before, "another window")
    own = browser.driver.current_window_handle
    browser.driver.switch_to.window(other)
    try:
        browser.driver.switch_to.frame(find(browser, "iframe"))
        find(browser, "h1", "small")
        find(browser, ".answer", answer)
        assert len(find_all(browser, "svg[role=img]")) > 5
        # Its script runs there too.
        find(browser, "table.sortable th button").click()
        find(browser, "th[aria-sort=ascending]")
        browser.driver.switch_to.default_content()
        browser.driver.get(browser.driver.current_url.replace("/artifacts/report.html", ""))
        find(browser, "p", answer)
        find(browser, "a", "The whole report")
    finally:
        browser.driver.close()
        browser.driver.switch_to.window(own)


def test_nothing_is_asked_of_another_machine(browser: "Browser", address: str) -> None:
    open_page(browser, address)
    find(browser, ROW)
    browser.read_logs()
    assert browser.asked
    assert [url for url in browser.asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))] == []
