"""Seeds: every random stream is a named child of one root seed."""

import hashlib


def child(root: int, *names: str | int) -> int:
    """The seed of the stream `names` below `root`, from 0 to 2**63 - 1.

    Different names give independent seeds; the same names give the same seed on any machine.
    """
    text = "\x1f".join([str(root), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
