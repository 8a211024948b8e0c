"""A headless Chromium with a page of ours in it; knows how to find, press and measure, not what the pages are."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

_QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--hide-scrollbars",
)
_PATIENCE = 20


@dataclass
class Page:
    """One tab. `open` takes a file and a fragment."""

    driver: webdriver.Chrome

    def open(self, file: Path, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.logs()
        self.driver.get(file.as_uri() + fragment)
        self.wait("document.documentElement.dataset.search === 'complete'")

    def js(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def wait(self, condition: str) -> None:
        WebDriverWait(self.driver, _PATIENCE, poll_frequency=0.05).until(lambda _: self.js(condition), condition)

    def all(self, selector: str) -> list[WebElement]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """The text as it stands in the document, seen or not."""
        return str(self.js("document.querySelector(arguments[0])?.textContent", selector))

    def button(self, words: str) -> WebElement:
        return next(each for each in self.all("button") if each.text.strip().startswith(words))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def focus(self, selector: str) -> None:
        self.js("document.querySelector(arguments[0]).focus()", selector)

    def media(self, **features: str) -> None:
        values = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": values})

    def size(self, width: int, height: int) -> None:
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)

    def complaints(self) -> list[str]:
        """What the console said: errors of scripts, refused by the policy, and warnings."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for since the last look, other than the page itself."""
        return [url for url in self.logs() if not url.startswith(("file:", "about:"))]

    def logs(self) -> list[str]:
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
        return sent + [each["params"]["url"] for each in messages if each["method"] == "Network.webSocketCreated"]


@contextmanager
def browser() -> Iterator[Page]:
    """A browser of its own, with a profile that nothing has used before."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for argument in (*_QUIET, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        driver = webdriver.Chrome(options, webdriver.ChromeService(str(shutil.which("chromedriver"))))
        try:
            page = Page(driver)
            page.size(1440, 900)
            yield page
        finally:
            driver.quit()
