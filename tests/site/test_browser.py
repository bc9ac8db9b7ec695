"""The site in a browser that has no network: on a phone, in the light and in the dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from support import htmlpages

pytest.importorskip("selenium", reason="selenium is not installed: nobody has looked at the site")

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(
        not (htmlpages.SITE / "searchindex.js").exists(),
        reason="the site has not been built: make docs",
    ),
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="there is no chromium or no chromedriver: nobody has looked at the site",
    ),
    pytest.mark.timeout(240),
]
PHONE_PX: Final = 360
READABLE: Final = 4.5  # the contrast that the WCAG ask of text, level AA
PATIENCE_S: Final = 60.0
WIDTH: Final = "return document.documentElement.scrollWidth"
# The least contrast of text in elements that match, each kind of it once, and what has it.
CONTRASTS: Final = """
const luminance = ([r, g, b]) => [r, g, b]
    .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const numbers = color => (color.match(/[\\d.]+/g) || []).map(Number);
const over = (top, below) => {
    const alpha = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map(i => alpha * top[i] + (1 - alpha) * below[i]);
};
const ground = element => {
    if (!element) return [255, 255, 255];
    const own = numbers(getComputedStyle(element).backgroundColor);
    if (own.length > 3 && own[3] === 0) return ground(element.parentElement);
    return over(own, ground(element.parentElement));
};
const opacity = element => element
    ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1;
const found = {};
for (const element of document.querySelectorAll(arguments[0])) {
    const texts = [...element.childNodes].filter(node => node.nodeType === 3);
    const text = texts.map(node => node.data).join("").trim();
    if (!text || !element.offsetParent) continue;
    const below = ground(element);
    const [r, g, blue, alpha = 1] = numbers(getComputedStyle(element).color);
    const color = over([r, g, blue, alpha * opacity(element)], below);
    const [a, b] = [color, below].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const kind = `${element.tagName} ${element.className} in ${element.parentElement.className}`;
    if (!(kind in found) || ratio < found[kind][0]) found[kind] = [ratio, text.slice(0, 40)];
}
return found;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser as wide as a phone."""
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    folder = tmp_path_factory.mktemp("browser")
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=ChromeService(DRIVER))
    size = {"width": PHONE_PX, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield driver
    driver.quit()


def look(browser: Chrome, name: str) -> list[str]:
    """Open a page of the site, and return what its scripts complained of."""
    browser.get(address(htmlpages.SITE / name))
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def address(path: Path) -> str:
    return path.as_uri()


def test_no_page_scrolls_sideways_on_a_phone_and_no_script_fails(browser: Chrome) -> None:
    wide: dict[str, Any] = {}
    complaints: dict[str, Any] = {}
    for name in htmlpages.pages():
        if messages := look(browser, name):
            complaints[name] = messages
        if (width := browser.execute_script(WIDTH)) > PHONE_PX:
            wide[name] = width
    assert not wide
    assert not complaints


def test_a_page_that_is_too_wide_or_fails_is_found(browser: Chrome, tmp_path: Path) -> None:
    page = tmp_path / "wide.html"
    page.write_text(
        "<meta name='viewport' content='width=device-width'><p style='width:500px'>wide</p>"
        "<script>undefinedName()</script>"
    )
    browser.get(address(page))
    assert browser.execute_script(WIDTH) > PHONE_PX
    assert any("undefinedName" in entry["message"] for entry in browser.get_log("browser"))


def test_a_search_finds_a_page_without_a_server(browser: Chrome) -> None:
    browser.get(address(htmlpages.SITE / "search.html") + "?q=load_balanced_view")
    script = "return [...document.querySelectorAll('#search-results li a')].map(a => a.href)"
    links = WebDriverWait(browser, PATIENCE_S).until(lambda b: b.execute_script(script))
    assert any("reference/api/client.html" in link for link in links)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_code_and_outputs_can_be_read(browser: Chrome, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    dim = {}
    grounds = set()
    for name in ("start/ten-minutes", "reference/magics", "reference/settings", "tour"):
        look(browser, f"{name}.html")
        grounds.add(browser.execute_script("return document.documentElement.dataset.theme"))
        selector = ".highlight, .highlight *, .cell_output *, .bd-article p, .bd-article td, code"
        for kind, (ratio, text) in browser.execute_script(CONTRASTS, selector).items():
            if ratio < READABLE:
                dim[f"{name}: {kind}"] = (round(ratio, 2), text)
    assert grounds == {scheme}
    assert not dim
