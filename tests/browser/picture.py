"""Writes a picture of MLflow's page of a sweep, as docs/images/mlflow.png is: python -m tests.browser.picture HOME SWEEP PICTURE."""

import sys
import time
from pathlib import Path

from tests.browser.chromium import start_browser
from tests.browser.mlflow_page import find, open_page, serve


def main(home: Path, sweep: str, picture: Path) -> None:
    """Takes the picture at 1280 by 800, without the remark that the view is shared."""
    with serve(home, sweep) as address, start_browser() as browser:
        open_page(browser, address, height=800)
        find(browser, "[role=row][row-index]")
        find(browser, "[data-component-id='mlflow.experiment_page.shared_view.dismiss']").click()
        time.sleep(1)
        browser.save_picture(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
