"""A figure inside the page: its colours follow the reader's scheme, and its marks lead to their trials."""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup, escape

from rnnbench.base.canonical import digest
from rnnbench.report.style import GREY, GRID, INK, INKS, PAGE, Picture, Spot

# The same inks where the page is dark; the colours of marks stand out on both.
DARK_INKS = ("#288be7", "#bf7651", "#0ca462", "#b87799", "#d27f01", "#3199d7")
VARIABLES = {ink: f"--ink-{place}" for place, ink in enumerate(INKS)}
# Spots of a drawing stand beside it as three numbers of 16 bits each: tenths of a point, and which of the page's rows.
TENTHS = 10
MOST_ROWS = 1 << 16
# Matplotlib leaves black unsaid where it fills, which the page's style sheet sets.
_OF_THE_PAGE = {"#000000": "currentColor", INK: "currentColor", "#ffffff": "var(--paper)", GREY: "var(--dim)", GRID: "var(--line)"}


def declare_colours(*, dark: bool) -> Markup:
    """The style sheet's variables that a figure's colours become."""
    values = DARK_INKS if dark else INKS
    return Markup(" ".join(f"{name}: {value};" for name, value in zip(VARIABLES.values(), values, strict=True)))  # noqa: S704 - constants


def embed(picture: Picture, rows: Mapping[str, int]) -> Markup:
    """The drawing as part of the page; ids are made unique, since a page holds several.

    Args:
        rows: Numbers of the trials' rows in the page, by their ids.
    """
    name = digest(picture.name)[:8]
    text = picture.svg.replace('id="', f'id="{name}').replace('xlink:href="#', f'xlink:href="#{name}').replace("url(#", f"url(#{name}")
    for colour, variable in _OF_THE_PAGE.items():
        text = text.replace(f": {colour}", f": {variable}")
    for colour, variable in VARIABLES.items():
        text = text.replace(f": {colour}", f": var({variable})")
    # Hundreds of stops for who goes by keyboard, each of which is a row of a table below: marks are for the pointer.
    text = text.replace(f'xlink:href="{PAGE}', 'tabindex="-1" xlink:href="').replace(' target="_blank"', "")
    width = re.search(r' width="([\d.]+pt)"', text)
    assert width, "a drawing of Matplotlib's says how wide it is"
    head = f'<svg role="img" aria-label="{escape(picture.alt)}" style="--natural: {width[1]}" {_tell_spots(picture.spots, rows)}'
    # Matplotlib made this text and escapes what it is given.
    return Markup(text.replace("<svg ", head, 1))  # noqa: S704 - see above


def _tell_spots(spots: Sequence[Spot], rows: Mapping[str, int]) -> str:
    """An attribute with every spot of a row; none where there are more rows than can be told."""
    if len(rows) > MOST_ROWS:
        return ""
    told = [(round(TENTHS * spot.x), round(TENTHS * spot.y), rows[spot.anchor]) for spot in spots if spot.anchor in rows]
    return f'data-spots="{b64encode(np.array(told, dtype="<u2").tobytes()).decode("ascii")}" ' if told else ""
