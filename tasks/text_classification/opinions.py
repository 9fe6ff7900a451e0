"""Generated opinions whose sentiment is in their order: they say first what matters, and later, among other things, how that was.

"We came for the soup . the room was lovely , the soup was not so fresh , and the staff seemed warm ." is negative. Counting words does not
find it: it takes the thing to be remembered, and a word to be turned by the denial before it.
"""

import numpy as np

from rnnbench_tasks.text_classification.rows import Row

SIZES = {"train": 3000, "validation": 500, "test": 500}
THINGS = ("soup", "bread", "wine", "room", "garden", "view", "staff", "music")
WORDS = {
    "positive": ("good", "great", "charming", "fresh", "warm", "lovely", "superb", "pleasant", "fine", "excellent"),
    "negative": ("bad", "dull", "awful", "stale", "cold", "ugly", "poor", "boring", "weak", "terrible"),
}
OPPOSITE = {"positive": "negative", "negative": "positive"}
SAYING, DENYING = ("was", "seemed", "felt"), ("was not", "wasn't", "was never", "was hardly")
DEGREES = ("", "", "", "very", "really", "quite", "so")
OPENINGS = ("we came for the {} .", "what matters is the {} :", "all we want is a good {} .", "tell me about the {} :")
LINKS = (", and", ", but", ".", ", while")
DENIALS = 0.4
CLAUSES = (2, 3, 4)


def draw_opinions(seed: int) -> list[Row]:
    """Rows of all splits, no two alike."""
    random = np.random.default_rng(seed)
    splits = [split for split, size in SIZES.items() for _ in range(size)]
    found: dict[str, str] = {}
    while len(found) < len(splits):
        text, label = _draw(random)
        found.setdefault(text, label)
    pairs = zip(found.items(), splits, strict=True)
    return [Row(text, label, split, f"opinion {number}") for number, ((text, label), split) in enumerate(pairs, 1)]


def _draw(random: np.random.Generator) -> tuple[str, str]:
    """A text and its label; what is said of each thing is independent of the others, so that only the right one tells."""
    things = [THINGS[place] for place in random.permutation(len(THINGS))[: random.choice(CLAUSES)]]
    moods = [_choose(random, tuple(WORDS)) for _ in things]
    matters = random.integers(len(things))
    text = _choose(random, OPENINGS).format(things[matters])
    for place, (thing, mood) in enumerate(zip(things, moods, strict=True)):
        text += f"{_choose(random, LINKS) if place else ''} {_clause(random, thing, mood)}"
    return f"{text} .", moods[matters]


def _clause(random: np.random.Generator, thing: str, mood: str) -> str:
    denies = random.random() < DENIALS
    word = _choose(random, WORDS[OPPOSITE[mood] if denies else mood])
    return " ".join(f"the {thing} {_choose(random, DENYING if denies else SAYING)} {_choose(random, DEGREES)} {word}".split())


def _choose(random: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[random.integers(len(options))]
