"""A figure inside the page: its colours follow the reader's scheme, and its marks lead to their trials."""

import re

from markupsafe import Markup, escape

from rnnbench.base.canonical import digest
from rnnbench.report.style import COLOURS, GREY, GRID, INK, INKS, PAGE, Picture

# The same inks where the page is dark; the colours of marks stand out on both.
DARK_INKS = ("#56a9de", "#ee8a3e", "#2fbf94", "#d997bb", "#e69f00", "#7cc5f0")
VARIABLES = {ink: f"--ink-{place}" for place, ink in enumerate(INKS)} | {colour: f"--mark-{place}" for place, colour in enumerate(COLOURS)}
# Matplotlib leaves black unsaid where it fills, which the page's style sheet sets.
_OF_THE_PAGE = {"#000000": "currentColor", INK: "currentColor", "#ffffff": "var(--paper)", GREY: "var(--dim)", GRID: "var(--line)"}


def declare_colours(*, dark: bool) -> Markup:
    """The style sheet's variables that a figure's colours become."""
    values = [*(DARK_INKS if dark else INKS), *COLOURS]
    return Markup(" ".join(f"{name}: {value};" for name, value in zip(VARIABLES.values(), values, strict=True)))  # noqa: S704 - constants


def embed(picture: Picture) -> Markup:
    """The drawing as part of the page; ids are made unique, since a page holds several."""
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
    head = f'<svg role="img" aria-label="{escape(picture.alt)}" style="--natural: {width[1]}" '
    # Matplotlib made this text and escapes what it is given.
    return Markup(text.replace("<svg ", head, 1))  # noqa: S704 - see above
