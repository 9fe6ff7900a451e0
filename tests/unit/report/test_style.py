"""Colours of cells: seen on the page in light and dark, and told apart also by who sees no red or no green."""

import itertools
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rnnbench.report.style import COLOURS, Look, draw, look_of, scatter

WHITE, DARK = "#ffffff", "#16181b"
OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
Floats = NDArray[np.float64]
# On linear RGB, of who lacks one kind of cone. Source: Machado, Oliveira, Fernandes 2009, severity 1.
SEEN: dict[str, list[list[float]]] = {
    "all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}


def linear(colour: str) -> Floats:
    shares = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: Floats) -> Floats:
    """CIELAB of linear sRGB, D65."""
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
    xyz = to_xyz @ rgb.clip(0, 1) / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colours: tuple[str, ...], seen: str) -> float:
    """The difference of the two most alike."""
    found = [lab(np.array(SEEN[seen]) @ linear(colour)) for colour in colours]
    return min(float(np.linalg.norm(one - other)) for one, other in itertools.combinations(found, 2))


@pytest.mark.parametrize("page", [WHITE, DARK])
@pytest.mark.parametrize("colour", COLOURS)
def test_marks_stand_out_from_the_page(colour: str, page: str) -> None:
    assert contrast(colour, page) >= 3  # WCAG 2.2, 1.4.11


def test_the_formulas_are_right_on_what_is_known() -> None:
    assert contrast("#000000", WHITE) == pytest.approx(21)
    assert contrast("#767676", WHITE) == pytest.approx(4.54, abs=0.01)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)


@pytest.mark.parametrize("seen", SEEN)
def test_no_two_are_more_alike_than_okabe_and_itos(seen: str) -> None:
    assert nearest(COLOURS, seen) >= min(nearest(OKABE_ITO, one) for one in SEEN)


@pytest.mark.parametrize("look", [look_of("gru"), look_of("gru", hollow=True), Look("o", COLOURS[0])])
def test_a_marks_edge_is_whole_where_its_inside_is_pale(look: Look) -> None:
    figure = Figure()
    scatter(figure.add_subplot(), [(0.0, 1.0), (1.0, 0.0)], ["a" * 64, "b" * 64], look)
    drawn = re.findall(rf'<(?:use|path) [^>]*style="([^"]*stroke: {look.colour}[^"]*)"', draw(figure, "one", "", "two").svg)
    assert len(drawn) == 2
    assert not any("stroke-opacity" in style or re.search(r"(^|; )opacity", style) for style in drawn)
