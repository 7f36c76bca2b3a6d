"""A browser for tests of pages: headless Chromium."""

from __future__ import annotations

import shutil

import pytest

FLAGS = [
    "--headless=new",
    "--no-sandbox",  # containers often run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
]


def start_chromium(profile, page_load_strategy="normal"):
    """Start a browser with the folder of a profile, and return its driver."""
    webdriver = pytest.importorskip("selenium.webdriver")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver_path = shutil.which("chromedriver")
    if not binary or not driver_path:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    options.page_load_strategy = page_load_strategy
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # With both paths set, selenium downloads nothing.
    service = webdriver.ChromeService(driver_path)
    return webdriver.Chrome(options=options, service=service)


@pytest.fixture(scope="session")
def chrome(tmp_path_factory):
    """One driver for the whole session; tests use `browser`."""
    driver = start_chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chrome):
    """A selenium driver of 1280 x 900 pixels, in light colours, with an empty log."""
    resize(chrome, 1280)
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chrome.get_log("browser")
    yield chrome
    chrome.get("about:blank")


def resize(driver, width, height=900):
    """Set the size of the page, which can be narrower than a window."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )


def console(driver):
    """Return the messages of the console since the last call."""
    return [entry["message"] for entry in driver.get_log("browser")]


def overflow(driver):
    """Return by how many pixels the page is wider than the window."""
    return driver.execute_script(
        "const e = document.documentElement; return e.scrollWidth - e.clientWidth"
    )
