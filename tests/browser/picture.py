"""Writes the pictures of docs/images anew.

python -m tests.browser.picture mlflow HOME SWEEP   mlflow.png: MLflow's page of a sweep
python -m tests.browser.picture report FILE         report.png, report-phone.png: the beginning of a report, and on a phone, dark
"""

import sys
import time
from pathlib import Path

from tests.browser.chromium import start_browser
from tests.browser.mlflow_page import find, open_page, serve

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


def take_mlflow(home: Path, sweep: str) -> None:
    """At 1280 by 800, without the remark that the view is shared."""
    with serve(home, sweep) as address, start_browser() as browser:
        open_page(browser, address, height=800)
        find(browser, "[role=row][row-index]")
        find(browser, "[data-component-id='mlflow.experiment_page.shared_view.dismiss']").click()
        time.sleep(1)
        browser.save_picture(IMAGES / "mlflow.png")


def take_report(file: Path) -> None:
    """The answers, the first task's table and its first figure."""
    with start_browser() as browser:
        for name, width, height, dark in (("report.png", 1280, 1400, False), ("report-phone.png", 500, 1700, True)):
            browser.open(file.resolve().as_uri(), width, height=height, dark=dark)
            time.sleep(1)
            browser.save_picture(IMAGES / name)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["mlflow", home, sweep]:
            take_mlflow(Path(home), sweep)
        case ["report", file]:
            take_report(Path(file))
        case _:
            sys.exit(__doc__)
