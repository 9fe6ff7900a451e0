"""Dates as people write them in English, and in ISO form: a translation that needs no file and has one right answer."""

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

from rnnbench.base.seeds import child

ROWS = {"train": 4000, "validation": 500, "test": 500}
# Days of two centuries, each at most once over all splits.
FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TO_NINETEEN = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth"}

# What stands for {day}, {nth}, {month} and {year} varies too, see `write_date`.
FORMS = (
    "{day} {month} {year}", "{nth} {month} {year}", "the {nth} of {month} {year}", "the {nth} of {month}, {year}",
    "{nth} of {month} {year}", "{month} {day}, {year}", "{month} {day} {year}", "{month} {nth}, {year}", "{month} the {nth}, {year}",
    "{year}, {month} {day}",
)  # fmt: skip
_CASES: tuple[Callable[[str], str], ...] = (str, str, str.lower, str.upper)

Pair = tuple[str, str]


def draw_dates(seed: int, split: str) -> list[Pair]:
    """The pairs of a split: no day is in two of them, and each split has a random stream of its own."""
    days = np.random.default_rng(child(seed, "machine_translation", "days")).permutation((LAST - FIRST).days + 1)
    ends = np.cumsum(list(ROWS.values()))
    place = list(ROWS).index(split)
    random = np.random.default_rng(child(seed, "machine_translation", "dates", split))
    drawn = [FIRST + timedelta(int(number)) for number in days[ends[place] - ROWS[split] : ends[place]]]
    return [(write_date(day, random), day.isoformat()) for day in drawn]


def write_date(day: date, random: np.random.Generator) -> str:
    """A day in one of the ways people write it: order, ordinals, words for numbers, short months, weekday, capitals."""
    form = FORMS[random.integers(len(FORMS))]
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    in_words, short = random.random() < 0.3, random.random() < 0.3
    text = form.format(
        day=f"{day.day:02}" if random.random() < 0.2 else day.day,
        nth=ordinal_in_words(day.day) if in_words else ordinal(day.day),
        month=month[:3] if short else month,
        # Nobody writes: nineteen eighty-one, Feb 4.
        year=year_in_words(day.year) if in_words and random.random() < 0.5 and form.endswith("{year}") else day.year,
    )
    if random.random() < 0.3:
        text = f"{weekday[:3] if short else weekday}{', ' if random.random() < 0.7 else ' '}{text}"
    return _CASES[random.integers(len(_CASES))](text)


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ..., 11th, ..., 31st."""
    ending = "th" if 10 < number % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def ordinal_in_words(number: int) -> str:
    """first to ninety-ninth."""
    head, dash, last = number_in_words(number).rpartition("-")
    return head + dash + _ORDINALS.get(last, f"{last.removesuffix('y')}ieth" if last.endswith("y") else f"{last}th")


def number_in_words(number: int) -> str:
    """zero to ninety-nine."""
    if number < 20:
        return _TO_NINETEEN[number]
    return _TENS[number // 10] + (f"-{_TO_NINETEEN[number % 10]}" if number % 10 else "")


def year_in_words(year: int) -> str:
    """A year as it is said: nineteen hundred, nineteen oh five, two thousand and five, twenty twenty-four."""
    century, rest = divmod(year, 100)
    if year % 1000 < 10:
        return f"{number_in_words(year // 1000)} thousand" + (f" and {number_in_words(rest)}" if rest else "")
    if rest < 10:
        return f"{number_in_words(century)} {'hundred' if rest == 0 else f'oh {number_in_words(rest)}'}"
    return f"{number_in_words(century)} {number_in_words(rest)}"
