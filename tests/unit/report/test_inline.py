"""Figures inside the page: whose colours they take, where their marks lead, and that several do not share ids."""

import base64
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from rnnbench.report.inline import DARK_INKS, MOST_ROWS, TENTHS, embed
from rnnbench.report.style import COLOURS, CROWD, INKS, Look, Picture, draw, scatter
from tests.unit.report.test_style import DARK, WHITE, contrast


def picture(name: str = "one", alt: str = "two & <three>") -> Picture:
    figure = Figure()
    axes = figure.add_subplot()
    scatter(axes, [(0.0, 1.0), (1.0, 0.0)], ["a" * 64, "b" * 64], Look("o", COLOURS[1]))
    axes.set_title("cell", color=INKS[1])
    return draw(figure, name, "", alt)


@pytest.mark.parametrize(("inks", "page"), [(INKS, WHITE), (DARK_INKS, DARK)])
def test_words_stand_out_from_the_page(inks: tuple[str, ...], page: str) -> None:
    assert min(contrast(ink, page) for ink in inks) >= 4.5


def test_colours_are_the_pages_inside_it_and_plain_in_the_file() -> None:
    one = picture()
    text = str(embed(one, {}))
    assert not re.search(r": #(000000|ffffff)", text)
    assert INKS[1] in one.svg
    assert "var(--ink-1)" in text
    assert f"fill: {COLOURS[1]}" in text
    assert 'aria-label="two &amp; &lt;three&gt;"' in text


def test_marks_lead_to_the_row_of_their_trial() -> None:
    one = picture()
    assert f'xlink:href="../report.html#trial-{"a" * 12}"' in one.svg
    text = str(embed(one, {}))
    assert f'tabindex="-1" xlink:href="#trial-{"b" * 12}"' in text
    assert "target=" not in text


def test_two_figures_share_no_id() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', str(embed(picture(name), {})))) for name in ("one", "two")]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_where_marks_of_a_crowd_stand_is_told_with_their_rows() -> None:
    rng = np.random.default_rng(0)
    places = rng.random((CROWD + 1, 2))
    keys = [f"{place:012d}" for place in range(len(places))]
    figure = Figure(figsize=(5, 4))
    axes = figure.add_subplot()
    scatter(axes, [(x, y) for x, y in places.tolist()], keys, Look("o", COLOURS[1]))
    one = draw(figure, "many", "", "many")
    assert 'xlink:href="../report' not in one.svg
    rows = {f"trial-{key}": place for place, key in enumerate(keys)} | {"trial-of-another": len(keys)}
    found = re.search(r'data-spots="([^"]+)"', str(embed(one, rows)))
    assert found
    told = np.frombuffer(base64.b64decode(found[1]), dtype="<u2").reshape(-1, 3)
    assert told[:, 2].tolist() == list(range(len(keys)))
    # Straight lines from the data to the drawing, upside down, within its edges.
    for axis, sign in ((0, 1), (1, -1)):
        slope, start = np.polyfit(places[:, axis], told[:, axis] / TENTHS, 1)
        assert slope * sign > 100
        assert np.abs(start + slope * places[:, axis] - told[:, axis] / TENTHS).max() < 1 / TENTHS
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', one.svg)[0])
    assert (told[:, :2].max(0) / TENTHS < [width, height]).all()
    assert "data-spots" not in str(embed(one, {f"trial-{key:x}": key for key in range(MOST_ROWS + 1)}))
    assert "data-spots" not in str(embed(picture(), rows))
