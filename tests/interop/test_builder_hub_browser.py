# SPDX-License-Identifier: MIT
"""The admin's pages in a real browser: Chromium without JavaScript, content security policy on."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.builder_hub import PASSWORD, RunningHub, running_hub
from tests.support.hub_nodes import SimulatedNode

pytestmark = pytest.mark.interop

DEADLINE_S = 60
SCREENSHOTS = "BUILDER_HUB_TEST_SCREENSHOTS"
"""Folder for a picture of each page, for whoever wants to look at them."""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    driver, program = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or program is None:
        pytest.skip("Chromium is not installed (apt: chromium chromium-driver)")
    options = ChromeOptions()
    options.binary_location = program
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--window-size=1280,720",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(flag)
    scripts = {"profile.managed_default_content_settings.javascript": 2}
    options.add_experimental_option("prefs", scripts)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    chrome.set_page_load_timeout(DEADLINE_S)
    try:
        yield chrome
    finally:
        chrome.quit()


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[RunningHub]:
    async with running_hub(f"sqlite:///{tmp_path}/hub.sqlite") as hub:
        await hub.add_measurement()
        await hub.add_builder("alpha")
        await hub.add_builder("beta", ip="5.6.7.8", network="staging")
        await hub.post("/builders/secrets/alpha", {"instance_name": "alpha"})
        await hub.ask("/configuration")
        node = SimulatedNode()
        challenge = await hub.ask("/register_credentials/instance/challenge")
        proof = node.prove_certificate(challenge["challenge"])
        await hub.send("/register_credentials/instance", proof)
        await hub.send("/tee_attestation", node.attestation_request())
        yield hub


async def test_admin_works_in_a_browser(filled: RunningHub, browser: Chrome) -> None:
    await asyncio.to_thread(click_through, browser, filled.admin_port)
    assert await filled.ask("/builders", status=403) is None
    (newest, *_) = await filled.get("/audit")
    assert (newest["action"], newest["subject"]) == ("measurement_disabled", "image-1")


def click_through(browser: Chrome, port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    browser.get(f"http://admin:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{port}/")
    assert cells(browser, "alpha")[:2] == ["alpha", "1.2.3.4"]
    take_picture(browser, "builders")
    press(browser, "beta")
    assert "inactive" in cells(browser, "beta")[-1]
    press(browser, "beta")
    assert "deactivate" in cells(browser, "beta")[-1]
    browser.find_element(By.LINK_TEXT, "measurements").click()
    press(browser, "image-1")
    assert "inactive" in cells(browser, "image-1")[-1]
    for page in ("measurements", "registrations", "attestations", "events", "audit"):
        browser.get(f"{base}/{page}")
        assert browser.find_element(By.TAG_NAME, "h1").text.lower() == page
        assert browser.find_elements(By.CSS_SELECTOR, "tbody tr")
        take_picture(browser, page)
    # The style sheet came through the policy.
    nav = browser.find_element(By.TAG_NAME, "nav")
    assert nav.value_of_css_property("display") == "flex"
    refused = [
        entry
        for entry in browser.get_log("browser")  # type: ignore[no-untyped-call]
        if "favicon" not in entry["message"]
    ]
    assert refused == []


def cells(browser: Chrome, name: str) -> list[str]:
    row = browser.find_element(By.CSS_SELECTOR, f'tr[data-name="{name}"]')
    return [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]


def press(browser: Chrome, name: str) -> None:
    """Press the button of a row and wait for the page that follows."""
    button = browser.find_element(By.CSS_SELECTOR, f'tr[data-name="{name}"] button')
    page = browser.find_element(By.TAG_NAME, "html")
    button.click()
    WebDriverWait(browser, DEADLINE_S).until(
        lambda driver: driver.find_element(By.TAG_NAME, "html") != page
    )


def take_picture(browser: Chrome, name: str) -> None:
    folder = os.environ.get(SCREENSHOTS)
    if folder:
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))
        sys.stdout.write(f"{folder}/{name}.png\n")
