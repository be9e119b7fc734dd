"""A headless Chromium that opens pages from the disk; tests that ask for it are skipped where there is none."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BROWSERS, DRIVERS = ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # in a container everyone is root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
)
LOCAL = ("file:", "data:", "blob:", "about:")


@dataclass(frozen=True)
class Browser:
    """What tests of a page need.

    Attributes:
        driver: selenium's, for everything else.
        downloads: where saved files go.
    """

    driver: Any
    downloads: Path

    def open(self, page: Path) -> None:
        """Load a page from the disk; what was logged before is forgotten."""
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(page.resolve().as_uri())

    def size(self, width: int, height: int = 900) -> None:
        """The viewport in CSS pixels, also below what a window can have."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, light_or_dark: str) -> None:
        """What the page is told of prefers-color-scheme."""
        feature = {"name": "prefers-color-scheme", "value": light_or_dark}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a JavaScript function body."""
        return self.driver.execute_script(script, *arguments)

    def errors(self) -> list[str]:
        """What the console complained of since the page was opened, or since the last call."""
        return [one["message"] for one in self.driver.get_log("browser") if one["level"] in {"SEVERE", "WARNING"}]

    def requested(self) -> list[str]:
        """Every address that was asked for since the page was opened, or since the last call."""
        messages = (json.loads(one["message"])["message"] for one in self.driver.get_log("performance"))
        return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]

    def foreign(self) -> list[str]:
        """Of these, those that leave the machine."""
        return [url for url in self.requested() if not url.startswith(LOCAL)]

    def saved(self, name: str, seconds: float = 5.0) -> str:
        """The text of a file that the page has let the user save.

        Raises:
            AssertionError: there is none.
        """
        self.until(lambda: (self.downloads / name).is_file(), seconds)
        return (self.downloads / name).read_text(encoding="utf-8")

    def until(self, true: Callable[[], bool], seconds: float = 5.0) -> None:
        """Wait for something.

        Raises:
            AssertionError: it did not come about.
        """
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"not within {seconds:g} s"
            time.sleep(0.02)

    def screenshot(self, path: Path) -> Path:
        """What is seen, as a PNG."""
        assert self.driver.save_screenshot(str(path))
        return path


@pytest.fixture(scope="session")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests: it takes a second to start."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary, driver = (next(filter(None, map(shutil.which, names)), None) for names in (BROWSERS, DRIVERS))
    if binary is None or driver is None:
        pytest.skip("no Chromium with its driver: apt-get install chromium chromium-driver")
    downloads = tmp_path_factory.mktemp("downloads")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    several = "profile.default_content_setting_values.automatic_downloads"  # else a page may save one file a click
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads), several: 1})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    try:
        yield Browser(started, downloads)
    finally:
        started.quit()


@pytest.fixture
def browser(_chromium: Browser) -> Iterator[Browser]:
    """A browser as new: 1280 pixels wide, light."""
    _chromium.size(1280)
    _chromium.scheme("light")
    yield _chromium
    for saved in _chromium.downloads.iterdir():
        saved.unlink()
