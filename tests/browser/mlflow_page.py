"""MLflow's own page on a home, as `rnnbench ui` serves it, and what a person does there."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

    from tests.browser.chromium import Browser

PATIENCE_S = 60.0
Found = TypeVar("Found")


@contextmanager
def serve(home: Path, sweep: str) -> Iterator[str]:
    """Runs `rnnbench ui SWEEP` on a free port while the block runs; gives the address that it prints."""
    command = [sys.executable, "-c", "from rnnbench.cli.app import main; main()", "ui", sweep, "--home", str(home), "--port", "0"]
    log = home / "ui.log"
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "Uvicorn running" in log.read_text() or server.poll() is not None, "the server answers")
        assert server.poll() is None, log.read_text()
        yield next(word for word in log.read_text().split() if word.startswith("http://127.0.0.1:"))
    finally:
        server.terminate()
        server.wait(60)


def open_page(browser: "Browser", address: str, *, height: int = 900) -> None:
    """Opens a page of MLflow's and closes its assistant, which covers a quarter of it."""
    browser.open(address, 1280, height=height)
    close = "[data-component-id='mlflow.assistant.chat_panel.close']"
    wait_until(lambda: browser.driver.find_elements("css selector", f"{close}, [data-testid='saved-views-trigger']"), "the page is there")
    for button in browser.driver.find_elements("css selector", close):
        button.click()


def find(browser: "Browser", selector: str, words: str = "") -> "WebElement":
    """The first thing on the page that is shown and holds these words; waits for it."""
    return find_all(browser, selector, words)[0]


def find_all(browser: "Browser", selector: str, words: str = "") -> "list[WebElement]":
    """All of them; waits for the first."""
    shown = "one => one.checkVisibility() && (one.innerText ?? '').includes(arguments[1])"
    script = f"return [...document.querySelectorAll(arguments[0])].filter({shown})"
    return wait_until(lambda: browser.ask(script, selector, words), f"{selector} with '{words}' is on the page")


def wait_until(look: Callable[[], Found], words: str) -> Found:
    """What is looked for, once it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {words}"
        time.sleep(0.2)
    return found
