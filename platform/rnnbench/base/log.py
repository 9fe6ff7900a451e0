"""Logging for people: warnings to standard error, one line each."""

import logging
import sys


def start_logging(verbose: bool = False) -> None:
    """Sends rnnbench's log to standard error: INFO when `verbose`, else WARNING. Calling it again changes the level only.

    The level is the handler's, so that a trial may log more than this to its own file.
    """
    logger = logging.getLogger("rnnbench")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    logger.handlers[0].setLevel(logging.INFO if verbose else logging.WARNING)
    logger.setLevel(logging.INFO)
