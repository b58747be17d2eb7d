"""The gallery as a person meets it: opened from disk in headless Chromium."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import pytest

from covey.gallery import write_gallery

pytestmark = pytest.mark.browser

PAGES = (
    "index.html",
    "clusters/0000.html",
    "clusters/0000-2.html",
    "clusters/noise.html",
    "unsure.html",
    "skipped.html",
    "k.html",
    "about.html",
)
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


class Browser:
    """A few words on top of a web driver."""

    def __init__(self, driver: Any, gallery: Path) -> None:
        self.driver, self.gallery = driver, gallery

    def open(self, page: str) -> None:
        self.driver.get((self.gallery / page).as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def wait(self, condition: str, *arguments: object) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 10).until(
            lambda driver: driver.execute_script(f"return {condition}", *arguments), condition
        )

    def emulate(self, **features: str) -> None:
        listed = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items() if name != "media"
        ]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": features.get("media", ""), "features": listed}
        )

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    @property
    def page(self) -> str:
        path = self.driver.current_url.partition("#")[0]
        return path.removeprefix(f"{self.gallery.as_uri()}/")

    def focused(self) -> int:
        return self.run("return [...document.querySelectorAll('[data-item]')].indexOf(document.activeElement)")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    from selenium.webdriver.chrome.service import Service

    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver: Any, gallery: Path) -> Iterator[Browser]:
    """Return the browser on the first page, wide, light, with nothing remembered and nothing logged."""
    browser = Browser(driver, gallery)
    browser.resize(1400, 1000)
    browser.emulate(prefers_color_scheme="light")
    browser.open("index.html")
    browser.run("localStorage.clear()")
    browser.open("index.html")
    driver.get_log("browser")
    driver.get_log("performance")
    yield browser
    browser.emulate()


@pytest.fixture
def quiet(browser: Browser) -> Iterator[None]:
    """Insist that a test leaves nothing on the console and asks nobody but the disk."""
    yield
    assert browser.driver.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith("file:///")] == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("page", PAGES)
def test_pages_open_from_disk_without_a_network(browser: Browser, page: str) -> None:
    browser.open(page)
    browser.run("for (const image of document.querySelectorAll('main img')) image.loading = 'eager'")
    browser.wait("[...document.querySelectorAll('main img')].every((image) => image.complete && image.naturalWidth)")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(251, 250, 247)"
    assert browser.find(".tools").is_displayed()


@pytest.mark.parametrize("width", [360, 768, 1400])
@pytest.mark.parametrize("page", PAGES)
def test_nothing_hangs_out_at_the_side(browser: Browser, page: str, width: int) -> None:
    browser.resize(width, 800)
    browser.open(page)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    hanging = browser.run(
        "return [...document.querySelectorAll('main *')].filter((e) => !e.closest('.sr, .scroll') && "
        "e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"
    )
    assert hanging == []


@pytest.mark.parametrize("page", ["index.html", "clusters/0000.html", "unsure.html"])
def test_nothing_jumps_while_pictures_load(browser: Browser, page: str) -> None:
    browser.open(page)
    browser.wait("document.readyState === 'complete'")
    shift = browser.driver.execute_async_script(
        "const done = arguments[0]; let sum = 0;"
        "new PerformanceObserver((list) => list.getEntries().forEach((e) => { sum += e.value; }))"
        ".observe({ type: 'layout-shift', buffered: true });"
        "setTimeout(() => done(sum), 400);"
    )
    assert shift < 0.01


@pytest.mark.usefixtures("quiet")
def test_arrows_walk_through_the_clusters(browser: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.press("j")
    assert browser.focused() == 0
    browser.press(Keys.ARROW_RIGHT, "j", "k")
    assert browser.focused() == 1
    tops = browser.run("return [...document.querySelectorAll('.card')].map((card) => card.offsetTop)")
    columns = tops.count(tops[0])
    browser.press(Keys.HOME, Keys.ARROW_DOWN)
    assert browser.focused() == columns
    browser.press(Keys.ARROW_UP)
    assert browser.focused() == 0
    assert browser.run("return getComputedStyle(document.activeElement.parentElement).outlineStyle") == "solid"
    browser.press(Keys.ENTER)
    browser.wait("document.readyState === 'complete' && document.querySelector('.grid') !== null")
    assert browser.page == "clusters/0000.html"
    browser.press("]")
    browser.wait("location.pathname.endsWith('0001.html')")
    browser.press("[")
    browser.wait("location.pathname.endsWith('0000.html')")
    browser.press("n")
    browser.wait("location.pathname.endsWith('0000-2.html')")
    browser.press("p")
    browser.wait("location.pathname.endsWith('0000.html')")
    browser.press("u")
    browser.wait("location.pathname.endsWith('index.html')")


@pytest.mark.usefixtures("quiet")
def test_one_stop_for_tab(browser: Browser) -> None:
    browser.open("clusters/0000.html")
    assert browser.run("return document.querySelectorAll('[data-item][tabindex=\"0\"]').length") == 1
    browser.press("j", "j")
    assert browser.run("return document.querySelectorAll('[data-item][tabindex=\"0\"]').length") == 1


@pytest.mark.usefixtures("quiet")
def test_the_filter_finds_clusters_by_name(browser: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    def names() -> list[str]:
        return browser.run("return [...document.querySelectorAll('.card:not([hidden]) h2')].map((h) => h.textContent)")

    everything = names()
    assert len(everything) == 4
    browser.press("/")
    assert browser.run("return document.activeElement.id") == "filter"
    browser.press("PÖNDS")
    assert names() == ["Ponds"]
    assert browser.find("#shown").text == "1 of 4"
    browser.press("x")
    assert names() == []
    assert browser.find("#nothing").is_displayed()
    browser.press(Keys.ESCAPE)
    assert names() == everything
    browser.press("/", "arches", Keys.ENTER)
    assert browser.run("return document.activeElement.querySelector('h2').textContent") == 'Gateways <i>& "arches"'


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("choice", "first", "last"),
    [
        ("name asc", "Cluster 1", "Ponds"),
        ("size asc", "In no cluster", 'Gateways <i>& "arches"'),
        ("cohesion desc", 'Gateways <i>& "arches"', "In no cluster"),
    ],
)
def test_clusters_can_be_sorted(browser: Browser, choice: str, first: str, last: str) -> None:
    browser.run(
        "const s = document.querySelector('#sort'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))",
        choice,
    )
    names = browser.run("return [...document.querySelectorAll('.card h2')].map((h) => h.textContent)")
    assert (names[0], names[-1]) == (first, last)
    browser.press("j")
    assert browser.focused() == 0


@pytest.mark.usefixtures("quiet")
def test_help_lists_the_keys(browser: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.press("?")
    assert browser.find("#help").is_displayed()
    browser.press(Keys.ESCAPE)
    assert not browser.find("#help").is_displayed()
    browser.find("#keys").click()
    browser.find("#help .shut").click()
    assert not browser.find("#help").is_displayed()


@pytest.mark.usefixtures("quiet")
def test_every_original_opens_large_whatever_its_name(browser: Browser, collection: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    seen: dict[bytes, tuple[int, int]] = {}
    for page in sorted(path.name for path in (browser.gallery / "clusters").iterdir()):
        browser.open(f"clusters/{page}")
        n_shots = browser.run("return document.querySelectorAll('.grid .shot').length")
        browser.run("document.querySelector('.grid .shot').focus()")
        browser.press(Keys.ENTER)
        for number in range(n_shots):
            if number:
                browser.press("j")
            browser.wait(
                "document.querySelectorAll('.stage img').length === 1"
                " && document.querySelector('.stage img').naturalWidth"
                " && document.querySelector('.stage img').src === document.querySelector('#original').href"
            )
            url, width, height = browser.run(
                "const i = document.querySelector('.stage img'); return [i.src, i.naturalWidth, i.naturalHeight]"
            )
            seen[unquote_to_bytes(url.removeprefix("file://"))] = (width, height)
    assert seen == {os.fsencode(record.path): (record.width, record.height) for record in collection.records}


@pytest.mark.usefixtures("quiet")
def test_the_large_view_closes_where_it_was_opened(browser: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open("clusters/0001.html")
    browser.run("document.querySelectorAll('.grid .shot')[1].scrollIntoView()")
    browser.run("document.querySelectorAll('.grid .shot')[1].click()")
    assert browser.find("#lightbox").is_displayed()
    assert browser.find("#lightbox .count").text == "2 of 14"
    assert "confidence" in browser.run(
        "return getComputedStyle(document.querySelector('#lightbox .score'), '::before').content"
    )
    browser.press(Keys.ARROW_RIGHT)
    assert browser.find("#lightbox .count").text == "3 of 14"
    browser.press(Keys.ARROW_LEFT, "k")
    assert browser.find("#lightbox .count").text == "1 of 14"
    browser.press(Keys.ESCAPE)
    assert not browser.find("#lightbox").is_displayed()
    assert browser.run("return document.activeElement === document.querySelectorAll('.grid .shot')[0]")


@pytest.mark.usefixtures("quiet")
def test_the_walk_goes_on_over_the_end_of_a_page(browser: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open("clusters/0000.html")
    browser.run("[...document.querySelectorAll('.grid .shot')].at(-1).click()")
    browser.press("j")
    browser.wait("location.pathname.endsWith('0000-2.html') && document.querySelector('#lightbox[open]') !== null")
    assert browser.find("#lightbox .count").text == "6 of 14"
    browser.press("k")
    browser.wait("location.pathname.endsWith('0000.html') && document.querySelector('#lightbox[open]') !== null")
    assert browser.find("#lightbox .count").text == "5 of 14"
    browser.press(Keys.ESCAPE, "j")
    browser.wait("location.pathname.endsWith('0000-2.html') && document.activeElement.matches('.grid .shot')")
    assert browser.run("return document.querySelector('#lightbox').open") is False


def test_a_file_that_is_gone_is_shown_as_its_preview(browser: Browser, collection: Any) -> None:
    browser.open("clusters/0001.html")
    url = browser.run("return document.querySelector('.grid .shot').href")
    path = Path(unquote(url.removeprefix("file://")))
    aside = path.rename(path.with_name("aside"))
    try:
        browser.run("document.querySelector('.grid .shot').click()")
        browser.wait(
            "document.querySelector('#lightbox .notice') !== null && document.querySelector('.stage img').naturalWidth"
        )
        assert "file is gone" in browser.find("#lightbox .notice").text
        assert browser.run("return document.querySelector('.stage img').src").endswith(".webp")
    finally:
        aside.rename(path)


def test_a_thumbnail_that_is_gone_leaves_a_stand_in(browser: Browser, collection: Any) -> None:
    moved = (collection.root / "thumbnails").rename(collection.root / "aside")
    try:
        browser.open("unsure.html")
        browser.run("for (const image of document.querySelectorAll('main img')) image.loading = 'eager'")
        browser.wait("document.querySelectorAll('main img').length === 0")
        assert browser.run("return document.querySelectorAll('.doubts .shot svg.blank').length") == 12
    finally:
        moved.rename(collection.root / "thumbnails")


@pytest.mark.usefixtures("quiet")
def test_dark_follows_the_system_and_the_hand(browser: Browser) -> None:
    def paper() -> str:
        return browser.run("return getComputedStyle(document.body).backgroundColor")

    light = paper()
    browser.emulate(prefers_color_scheme="dark")
    dark = paper()
    assert dark != light
    browser.find("#theme").click()
    assert paper() == light
    assert browser.find("#theme").get_attribute("aria-pressed") == "false"
    browser.open("about.html")
    assert paper() == light  # remembered on the next page
    browser.press("t")
    assert paper() == dark
    assert browser.run("return localStorage.length") == 0  # back to what the system says


def _contrast(one: list[int], other: list[int]) -> float:
    """WCAG 2 contrast ratio of two sRGB colours."""

    def luminance(colour: list[int]) -> float:
        linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Browser, scheme: str) -> None:
    browser.emulate(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    script = (
        "const read = (e, p) => getComputedStyle(e)[p].match(/\\d+/g).slice(0, 3).map(Number);"
        "return ['h1', '.lead', '.ledger', '.facts', '.size', '.size span', 'footer p'].map("
        "(s) => [s, read(document.querySelector(s), 'color'), read(document.body, 'backgroundColor')])"
    )
    for selector, ink, paper in browser.run(script):
        assert _contrast(ink, paper) >= 4.5, selector


def test_reduced_motion_is_respected(browser: Browser) -> None:
    duration = "return getComputedStyle(document.querySelector('.mosaic img')).transitionDuration"
    assert browser.run(duration) != "0s"
    browser.emulate(prefers_reduced_motion="reduce")
    assert browser.run(duration) == "0s"


def test_print_leaves_the_controls_out(browser: Browser) -> None:
    browser.emulate(media="print")
    for selector in (".bar nav", ".tools", ".toolbar"):
        assert not browser.find(selector).is_displayed()
    assert browser.find(".card").is_displayed()


def test_without_script_pictures_and_links_remain(browser: Browser) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open("clusters/0000.html")
        assert browser.find(".grid img").is_displayed()
        assert not browser.find(".toolbar").is_displayed()
        assert browser.find(".pager a[rel=next]").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_policy_refuses_inline_code_and_the_network(browser: Browser) -> None:
    refused = browser.driver.execute_async_script(
        "const done = arguments[0], seen = [];"
        "document.addEventListener('securitypolicyviolation', (e) => seen.push(e.effectiveDirective));"
        "const code = document.createElement('script'); code.textContent = 'window.intruder = 1';"
        "document.body.append(code);"
        "document.body.setAttribute('style', 'color: red');"
        "const picture = new Image(); picture.src = 'http://127.0.0.1:9/x.png'; document.body.append(picture);"
        "fetch('http://127.0.0.1:9/x').catch(() => setTimeout(() => done([seen.sort(), !!window.intruder]), 200));"
    )
    assert refused == [["connect-src", "img-src", "script-src-elem", "style-src-attr"], False]
    browser.driver.get_log("browser")


def test_the_gallery_moves_with_its_project(browser: Browser, collection: Any, tmp_path: Path) -> None:
    """A project folder that is copied elsewhere keeps its pages and previews."""
    shutil.copytree(collection.root, tmp_path / "moved.covey")
    browser.gallery = tmp_path / "moved.covey" / "gallery"
    browser.open("clusters/0001.html")
    browser.wait("document.querySelector('.grid img').naturalWidth > 0")


def test_two_thousand_clusters_filter_quickly(browser: Browser, numbers: Callable[..., Any], tmp_path: Path) -> None:
    browser.gallery = write_gallery(numbers(tmp_path, (1,) * 2000), 1, tmp_path / "gallery").parent
    browser.open("index.html")
    elapsed = browser.run(
        "const f = document.querySelector('#filter'), start = performance.now(); f.value = '199';"
        "f.dispatchEvent(new Event('input')); document.body.offsetHeight; return performance.now() - start"
    )
    assert browser.find("#shown").text == "12 of 2,000"  # 199, 1199 and 1990 to 1999
    assert elapsed < 2000


@pytest.mark.usefixtures("quiet")
def test_groups_open_for_what_is_looked_for_and_for_the_keys(
    browser: Browser, numbers: Callable[..., Any], tmp_path: Path
) -> None:
    """Closed groups are skipped by the keys and opened by the filter; when its words are gone they are as before."""
    from selenium.webdriver.common.keys import Keys

    level = {"name": "coarse", "n_clusters": 2, "members": [[0, 3], [1, 2]]}
    project = numbers(tmp_path / "p.covey", (40, 30, 20, 10), info={"tree": {"levels": [level], "groups": "coarse"}})
    browser.driver.get(write_gallery(project, 1, tmp_path / "grouped").as_uri())

    def opened() -> list[bool]:
        return browser.run("return [...document.querySelectorAll('.group')].map((g) => g.open)")

    def visible() -> list[str]:
        return browser.run(
            "const seen = [...document.querySelectorAll('.card h3')].filter((h) => h.checkVisibility());"
            " return seen.map((h) => h.textContent)"
        )

    assert opened() == [False, False]
    assert visible() == []
    browser.press("j")
    assert browser.focused() == -1  # nothing is open, so there is nothing to walk through
    browser.find(".group:nth-of-type(2) summary").click()
    assert visible() == ["Cluster 1", "Cluster 2"]
    browser.press("/", "3")
    assert opened() == [True, False]
    assert visible() == ["Cluster 3"]
    assert browser.find("#shown").text == "1 of 4"
    browser.press(Keys.ESCAPE)
    assert opened() == [False, True]
    browser.run("const s = document.querySelector('#sort'); s.value = 'size asc'; s.dispatchEvent(new Event('change'))")
    assert visible() == ["Cluster 2", "Cluster 1"]
    browser.press("j", "j")
    assert browser.run("return document.activeElement.querySelector('h3').textContent") == "Cluster 1"
