"""The report of a real sweep as people meet it: on a desk and on a phone, light and dark, by keyboard, and printed."""

import base64
import io
import json
import random
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rnnbench.report.pages import write_report
from rnnbench.report.style import CROWD
from rnnbench.report.words import number
from tests.unit.report.test_report import searched, study

if TYPE_CHECKING:
    from tests.browser.chromium import Browser

pytestmark = pytest.mark.slow
AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="ascii")
DESK, PHONE = 1280, 390
# Chromium prints a page that is too wide smaller: up to here, words in tables keep 7 points.
MOST_SHRUNK = 1.2
SHOWN = [pytest.param(width, dark, id=f"{width}-{'dark' if dark else 'light'}") for width in (DESK, PHONE) for dark in (False, True)]
# Each is asked of the page, and each breaks it once: the audit must see that.
BREAKS = {
    "overflow": "document.querySelector('main p').innerHTML = 'x'.repeat(400)",
    "overlap": "const [one, other] = document.querySelectorAll('svg text'); one.replaceWith(other.cloneNode(true))",
    "pictures": "document.querySelector('svg').removeAttribute('aria-label')",
    "headings": "document.querySelector('h2').outerHTML = '<h4 id=comparison-1>deep</h4>'",
    "links": "document.querySelector('table a').setAttribute('href', '#nowhere')",
    "contrast": "document.querySelector('svg text').style.fill = '#808080'; document.querySelector('.answer p').style.color = '#808080'",
}


@pytest.fixture(scope="module")
def report(small_home: Path) -> Path:
    """The folder of the report."""
    return small_home / "reports" / "small"


@pytest.fixture(scope="module")
def address(report: Path) -> str:
    return (report / "report.html").as_uri()


@pytest.mark.parametrize(("width", "dark"), SHOWN)
def test_it_is_whole_and_readable(browser: "Browser", address: str, width: int, dark: bool) -> None:
    browser.open(address, width, dark=dark)
    for details in browser.driver.find_elements("css selector", "details"):
        browser.ask("arguments[0].open = true", details)
    assert browser.ask(AUDIT) == {fault: [] for fault in BREAKS}
    page = browser.ask("return getComputedStyle(document.body).backgroundColor")
    assert page == ("rgb(22, 24, 27)" if dark else "rgb(255, 255, 255)")
    browser.read_logs()
    assert browser.said == []
    assert browser.asked == [address]


@pytest.mark.parametrize("fault", BREAKS)
def test_the_audit_sees_what_is_broken(browser: "Browser", address: str, fault: str) -> None:
    browser.open(address, DESK)
    browser.ask(BREAKS[fault])
    found = browser.ask(AUDIT)
    assert [kind for kind, words in found.items() if words] == [fault], found


def test_errors_and_requests_of_a_page_are_seen(browser: "Browser", tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text("<script>undefined.nothing</script><img src='http://127.0.0.1:1/a.png' alt='a'>")
    browser.open(page.as_uri(), DESK)
    browser.read_logs()
    assert any("TypeError" in words for words in browser.said)
    assert "http://127.0.0.1:1/a.png" in browser.asked


@pytest.mark.parametrize("by_keyboard", [False, True], ids=["click", "keyboard"])
def test_a_table_sorts_by_any_column(browser: "Browser", address: str, by_keyboard: bool) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.open(address, DESK)
    table = browser.driver.find_element("css selector", "table.sortable")
    column = [head.text for head in table.find_elements("tag name", "th")].index("parameters")
    button = table.find_elements("css selector", "th button")[column]

    def press(key: str) -> None:
        if not by_keyboard:
            button.click()
            return
        for _ in range(60):
            if browser.driver.switch_to.active_element == button:
                break
            ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        else:
            pytest.fail("the keyboard does not reach the head of the column")
        ActionChains(browser.driver).send_keys(key).perform()

    def values() -> list[int]:
        return [int(row.find_elements("tag name", "td")[column].text) for row in table.find_elements("css selector", "tbody tr")]

    def sorted_as() -> list[str | None]:
        return [head.get_attribute("aria-sort") for head in table.find_elements("tag name", "th")]

    before = values()
    assert len(set(before)) > 1
    assert not any(sorted_as())
    press(Keys.ENTER)
    assert values() == sorted(before)
    assert [said for said in sorted_as() if said] == ["ascending"]
    press(Keys.SPACE)
    assert values() == sorted(before, reverse=True)
    assert sorted_as()[column] == "descending"


def test_what_is_no_number_stays_below_the_numbers(browser: "Browser", address: str) -> None:
    browser.open(address, DESK)
    browser.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    table = browser.driver.find_elements("css selector", "table.sortable")[-1]
    column = [head.text for head in table.find_elements("tag name", "th")].index("best")
    button = table.find_elements("css selector", "th button")[column]
    read = "return [...arguments[0].tBodies[0].rows].map(row => row.cells[arguments[1]].textContent)"
    for descending in (False, True):
        button.click()
        shown = browser.ask(read, table, column)
        lost = shown.count("-")
        assert lost > 0
        assert shown[-lost:] == ["-"] * lost
        assert [float(one) for one in shown[:-lost]] == sorted(map(float, shown[:-lost]), reverse=descending)


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_a_mark_says_which_trial_it_is_and_leads_to_its_row(browser: "Browser", report: Path, address: str, width: int) -> None:
    from selenium.webdriver import ActionChains

    trials = {trial["key"]: trial for sweep in json.loads((report / "report.json").read_text())["sweeps"] for trial in sweep["trials"]}
    browser.open(address, width)
    tip = browser.driver.find_element("css selector", "[role=tooltip]")
    assert not tip.is_displayed()
    for plot in browser.driver.find_elements("css selector", ".plot:has(a)"):
        point_at(browser, browser.ask(UPPERMOST, plot))
        assert tip.is_displayed()
        said = dict(line.split(": ", 1) for line in tip.text.split("\n"))
        (trial,) = [one for key, one in trials.items() if key.startswith(said["trial"])]
        assert (said["cell"], said["status"]) == (trial["cell"], trial["status"])
        assert f"optimizer.lr {number(trial['parameters']['optimizer.lr'])}" in said["parameters"]
        box = tip.rect
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        ActionChains(browser.driver).move_to_element(browser.driver.find_element("tag name", "figcaption")).perform()
        assert not tip.is_displayed()
    point_at(browser, browser.ask(UPPERMOST, plot))  # scrolled to again
    ActionChains(browser.driver).click().perform()
    row = browser.driver.find_element("css selector", "tr:target")
    assert row.is_displayed()
    assert trial["key"].startswith(row.find_element("tag name", "td").text)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report of more trials than are marks of their own."""
    rng = random.Random(0)
    trials = searched("gru", [rng.random() for _ in range(CROWD + 1)])
    return write_report([study(trials)], tmp_path_factory.mktemp("crowd")).html


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_of_a_crowd_the_nearest_mark_says_which_trial_it_is_and_leads_to_its_row(browser: "Browser", crowded: Path, width: int) -> None:
    from selenium.webdriver import ActionChains

    browser.open(crowded.as_uri(), width)
    keys = browser.ask("return [...document.querySelectorAll('tr[id^=trial-]')].map(row => row.cells[0].textContent)")
    tip = browser.driver.find_element("css selector", "[role=tooltip]")
    plots = browser.driver.find_elements("css selector", "svg[data-spots]")
    assert len(plots) >= 2
    assert not browser.driver.find_elements("css selector", ".plot a")
    for plot in plots:
        spots = np.frombuffer(base64.b64decode(str(plot.get_attribute("data-spots"))), dtype="<u2").reshape(-1, 3)
        # Alone enough to be hit by whole pixels.
        away = np.hypot(*(spots[:, None, :2].astype(float) - spots[None, :, :2]).T) + 1e9 * np.eye(len(spots))
        x, y, row = spots[away.min(0).argmax()].tolist()
        point_at(browser, browser.ask(SCROLL_TO, plot, x / 10, y / 10))
        said = dict(line.split(": ", 1) for line in tip.text.split("\n"))
        assert said["trial"] == keys[row]
    ActionChains(browser.driver).click().perform()
    target = browser.driver.find_element("css selector", "tr:target")
    assert target.is_displayed()
    assert target.find_element("tag name", "td").text == keys[row]
    ActionChains(browser.driver).move_to_element(browser.driver.find_element("tag name", "h1")).perform()
    assert not tip.is_displayed()


def test_printed_nothing_is_cut(browser: "Browser", address: str) -> None:
    from pypdf import PdfReader

    # As on paper in the dark: who prefers dark pages does not want black paper, nor white words on white.
    browser.open(address, DESK, dark=True)
    things = browser.ask(PRINTED)
    pages = [squeeze(page.extract_text()) for page in PdfReader(io.BytesIO(browser.print_pdf())).pages]
    assert len(pages) > 2
    assert missing_from(pages, things["tables"]) == []
    assert missing_from(pages, things["figures"]) == []
    assert len(things["tables"]) > 5
    assert len(things["figures"]) > 5
    # Too much for any page: the check sees it.
    assert missing_from(pages, [["acaptionthatisnowhere"], things["tables"][0][:1] + things["figures"][-1][-1:]]) != []


def test_printed_nothing_is_wider_or_higher_than_a_page(browser: "Browser", address: str) -> None:
    from tests.browser.chromium import A4_INCHES, MARGIN_INCHES

    width, height = (round((inches - 2 * MARGIN_INCHES) * 96) for inches in A4_INCHES)
    browser.open(address, width)
    browser.emulate(media="print")
    assert browser.ask(BOXES, MOST_SHRUNK * width, height) == []
    assert browser.ask("return getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.ask("document.querySelector('td').textContent = 'x'.repeat(200)")
    assert browser.ask(BOXES, MOST_SHRUNK * width, height) != []


def point_at(browser: "Browser", place: dict[str, float]) -> None:
    """Moves the pointer to a place of the window, which WebDriver, that would scroll to an element once more, leaves where it is."""
    from selenium.webdriver import ActionChains

    pointer = ActionChains(browser.driver)
    pointer.w3c_actions.pointer_action.move_to_location(round(place["x"]), round(place["y"]))
    pointer.perform()


def missing_from(pages: list[str], things: list[list[str]]) -> list[list[str]]:
    """Things of which no page has all words."""
    return [words for words in things if not any(all(squeeze(word) in page for word in words) for page in pages)]


def squeeze(text: str) -> str:
    """Words without their spaces and ligatures, which a reader of PDF finds where they are drawn."""
    return "".join(unicodedata.normalize("NFKC", text).split())


# Where a point of a drawing is in the window, once it is scrolled to its middle.
SCROLL_TO = """
const at = () => new DOMPoint(arguments[1], arguments[2]).matrixTransform(arguments[0].getScreenCTM());
const box = arguments[0].parentElement;
box.scrollLeft += at().x - innerWidth / 2;
scrollBy({ top: at().y - innerHeight / 2, behavior: "instant" });
return { x: at().x, y: at().y };
"""
# The middle of a mark of a figure that no other covers there, scrolled to.
UPPERMOST = """
for (const mark of arguments[0].querySelectorAll("a")) {
  mark.scrollIntoView({ block: "center", inline: "center" });
  const box = mark.getBoundingClientRect(), x = Math.round(box.x + box.width / 2), y = Math.round(box.y + box.height / 2);
  if (document.elementFromPoint(x, y)?.closest("a") === mark) return { x, y };
}
"""
# The first and the last words of each row of each table, and of each figure its words and its caption.
PRINTED = """
const words = element => element.textContent.trim();
const open = element => !element.closest("details");
return {
  tables: [...document.querySelectorAll("tr")].filter(open).map(row => [words(row.cells[0]), words(row.cells[row.cells.length - 1])]),
  figures: [...document.querySelectorAll("figure")].map(figure => [...figure.querySelectorAll("text, figcaption")].map(words)),
};
"""
BOXES = """
return [...document.querySelectorAll("table, tr, svg, p, pre")].filter(element => element.checkVisibility()).flatMap(element => {
  const box = element.getBoundingClientRect();
  const high = box.height > arguments[1] && !["TABLE", "PRE"].includes(element.tagName);
  const words = `${element.tagName} ${element.textContent.trim().slice(0, 30)} ${box.right} ${box.height}`;
  return box.right > arguments[0] + 0.5 || high ? [words] : [];
});
"""
