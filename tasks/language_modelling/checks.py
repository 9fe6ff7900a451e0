"""What a careful person would want to know of three texts before a model is trained on them."""

from collections import Counter

from rnnbench.base.names import printable
from rnnbench.task.text import TokenKind

# Lines that are shorter are often the same by chance.
LONG_LINE = 30
# Shares above which something is worth a line.
_MANY = 0.01
_WIDE_LINE = 10_000


def check_texts(texts: dict[str, str], kind: TokenKind) -> list[str]:
    """Remarks on repeated lines within and across splits, signs of a wrong encoding, foreign characters, and lines that are no lines."""
    found = []
    lines = {split: text.removesuffix("\n").split("\n") for split, text in texts.items()}
    trained = set(lines["train"])
    for split, of_split in lines.items():
        long = [line for line in of_split if len(line) >= LONG_LINE]
        counts = Counter(long)
        if (again := len(long) - len(counts)) > _MANY * len(long):
            line = counts.most_common(1)[0][0]
            found.append(f"{split}: {again} of {len(long)} lines stand there before, e.g. '{printable(line, 60)}'")
        if split != "train" and (seen := sum(line in trained for line in long)) > _MANY * len(long):
            line = next(line for line in long if line in trained)
            found.append(f"{split}: {seen} of {len(long)} lines stand in the training text too, e.g. '{printable(line, 60)}'")
        found += _odd_characters(split, texts[split])
        if kind != "char" and (longest := max(map(len, of_split))) > _WIDE_LINE:
            row = next(number for number, line in enumerate(of_split, 1) if len(line) == longest)
            found.append(f"{split}: line {row} has {longest} characters: is the text without line ends?")
        if kind in ("char", "subword") and split != "train" and (foreign := sorted(set(texts[split]) - set(texts["train"]))):
            shown = " ".join(f"U+{ord(char):04X}" for char in foreign[:10])
            found.append(f"{split}: {len(foreign)} characters that the training text has not, e.g. {shown}; they are unknown to the model")
    return found


def _odd_characters(split: str, text: str) -> list[str]:
    found = []
    for char, what in (("\ufffd", "replacement characters (U+FFFD): it was decoded wrongly before"), ("\r", "carriage returns (U+000D)")):
        if number := text.count(char):
            row = text[: text.index(char)].count("\n") + 1
            found.append(f"{split}: {number} {what}; the first in line {row}")
    control = Counter(char for char in text if ord(char) < 32 and char not in "\n\t\r")
    if control:
        char, number = control.most_common(1)[0]
        row = text[: text.index(char)].count("\n") + 1
        found.append(f"{split}: {control.total()} control characters, most of them U+{ord(char):04X}; in line {row}")
    return found
