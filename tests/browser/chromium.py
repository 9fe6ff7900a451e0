"""A headless Chromium, driven over its debugging protocol: Debian's, with Debian's driver, and with no way out of this machine."""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

PROGRAMS = ("chromium", "chromedriver")
# Selenium looks for browsers and drivers, and reports its use, only where it is given no path; both are forbidden all the same.
os.environ |= {"SE_OFFLINE": "true", "SE_AVOID_STATS": "true"}
FLAGS = (
    "--headless=new",
    # Root has no sandbox, and containers have a small /dev/shm.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)
A4_INCHES = (8.27, 11.69)
MARGIN_INCHES = 0.4


def missing_programs() -> list[str]:
    """What this machine lacks; empty where a browser can run."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@dataclass(frozen=True)
class Browser:
    """One window of a browser."""

    driver: Chrome
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, url: str, width: int, *, height: int = 900, dark: bool = False) -> None:
        """Shows a page in a window of this width, a phone's below 600; what was said and asked for before is forgotten."""
        self.driver.get("about:blank")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.emulate(dark=dark)
        self.read_logs()
        self.said.clear()
        self.asked.clear()
        self.driver.get(url)

    def emulate(self, *, dark: bool = False, media: str = "") -> None:
        """Says what the reader prefers, and what the page is shown on: nothing lets each case be as it is."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def read_logs(self) -> None:
        """Notes the page's warnings and errors in `said`, and every address that it asked for in `asked`."""
        self.said.extend(str(entry["message"]) for entry in self.driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE"))
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                self.asked.append(event["params"]["request"]["url"])

    def ask(self, script: str, *arguments: object) -> Any:
        """What a script in the page returns."""
        return self.driver.execute_script(script, *arguments)

    def print_pdf(self) -> bytes:
        """The page as it comes out of a printer, on A4."""
        width, height = A4_INCHES
        margins = {f"margin{side}": MARGIN_INCHES for side in ("Top", "Bottom", "Left", "Right")}
        found = self.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": width, "paperHeight": height, **margins})
        return base64.b64decode(found["data"])

    def save_picture(self, path: Path) -> None:
        """Writes what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]))


@contextmanager
def start_browser() -> Iterator[Browser]:
    """A browser while the block runs; both programs are on the path."""
    browser, driver = (shutil.which(name) for name in PROGRAMS)
    assert browser is not None, "looked for by the fixture"
    options = ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = Chrome(options=options, service=Service(executable_path=driver))
    try:
        yield Browser(window)
    finally:
        window.quit()
