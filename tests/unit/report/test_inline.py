"""Figures inside the page: whose colours they take, where their marks lead, and that several do not share ids."""

import re

import pytest
from matplotlib.figure import Figure

from rnnbench.report.inline import DARK_INKS, embed
from rnnbench.report.style import COLOURS, INKS, Look, Picture, draw, scatter

WHITE, DARK = "#ffffff", "#16181b"


def picture(name: str = "one", alt: str = "two & <three>") -> Picture:
    figure = Figure()
    axes = figure.add_subplot()
    scatter(axes, [(0.0, 1.0), (1.0, 0.0)], ["a" * 64, "b" * 64], Look("o", COLOURS[1]))
    axes.set_title("cell", color=INKS[1])
    return draw(figure, name, "", alt)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("inks", "page"), [(INKS, WHITE), (DARK_INKS, DARK)])
def test_words_stand_out_from_the_page(inks: tuple[str, ...], page: str) -> None:
    assert min(contrast(ink, page) for ink in inks) >= 4.5


def test_colours_are_the_pages_inside_it_and_plain_in_the_file() -> None:
    one = picture()
    text = str(embed(one))
    assert not re.search(r": #(000000|ffffff)", text)
    assert INKS[1] in one.svg
    assert "var(--ink-1)" in text
    assert "var(--mark-1)" in text
    assert 'aria-label="two &amp; &lt;three&gt;"' in text


def test_marks_lead_to_the_row_of_their_trial() -> None:
    one = picture()
    assert f'xlink:href="../report.html#trial-{"a" * 12}"' in one.svg
    text = str(embed(one))
    assert f'tabindex="-1" xlink:href="#trial-{"b" * 12}"' in text
    assert "target=" not in text


def test_two_figures_share_no_id() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', str(embed(picture(name))))) for name in ("one", "two")]
    assert ids[0]
    assert not ids[0] & ids[1]
