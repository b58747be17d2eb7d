"""The served pages in headless Chromium: a name, a move and an undo, with the script, with keys, and without it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import make_project
from .test_serving import Running, request, start

pytestmark = pytest.mark.browser

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


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
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1300, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    yield driver
    driver.quit()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Running]:
    make_project(tmp_path / "trip.covey", tmp_path / "pictures")
    running = start(tmp_path / "trip.covey")
    yield running
    running.process.kill()
    running.process.communicate()


class Pages:
    """A few words on top of a web driver."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, page: str) -> None:
        self.driver.get(self.url + page)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def wait(self, condition: str) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 20).until(lambda driver: driver.execute_script(f"return {condition}"), condition)

    def click(self, selector: str) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        self.find(selector).click()


@pytest.fixture
def pages(driver: Any, live: Running) -> Iterator[Pages]:
    """Return the browser; at the end its console is silent and it has asked nobody but the server."""
    driver.get_log("browser")
    driver.get_log("performance")
    yield Pages(driver, live.url)
    assert driver.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith((live.url, "data:", "chrome:"))] == []


def test_rename_move_undo(pages: Pages) -> None:
    pages.open("clusters/0")
    pages.press("e")
    pages.wait("document.activeElement.name === 'name'")
    pages.press("hound", "\ue007")
    pages.wait("document.querySelector('h1').textContent === 'hound'")
    pages.wait("!document.querySelector('#toast').hidden")
    # Two pictures are ticked, and those between them with Shift.
    pages.driver.execute_script("scrollTo(0, document.body.scrollHeight)")
    boxes = pages.all(".grid .tick input")
    boxes[0].click()
    pages.driver.execute_script(
        "arguments[0].dispatchEvent(new MouseEvent('click', {shiftKey: true, bubbles: true, cancelable: true}))",
        boxes[2],
    )
    assert pages.find("[data-count]").text == "3 pictures ticked"
    pages.press("m", "cat", "\ue007")
    pages.wait("document.querySelector('.notice button[value=undo]') !== null")
    assert pages.find("[role=status]").text.startswith("Moved 3 images to 1 (cat).")
    assert len(pages.all(".grid .tile")) == 7
    pages.click(".notice button[value=undo]")
    pages.wait("document.querySelectorAll('.grid .tile').length === 10")
    pages.open("history")
    assert len(pages.all(".history li")) == 3
    assert len(pages.all(".history .undone")) == 1
    pages.open("clusters/0")
    assert pages.find("h1").text == "hound"


def test_unsure_by_keys(pages: Pages) -> None:
    pages.open("unsure")
    n_open = len(pages.all(".doubts > li"))
    for n_done, key in enumerate(("1", "2", "w", "o"), start=1):
        pages.press(key)
        pages.wait(f"document.querySelectorAll('.doubts > li.decided').length === {n_done}")
        pages.wait(f"Number(document.querySelector('#live').dataset.seq) === {n_done + 1}")
    pages.press("z")
    pages.wait("document.querySelectorAll('.doubts > li.decided').length === 3")
    pages.open("history")
    assert len(pages.all(".history li")) == 5
    pages.open("unsure")
    n_left = len(pages.all(".doubts > li"))
    assert 0 < n_left <= n_open
    pages.open("clusters/none")
    assert pages.all(".grid .tile") == []


def test_without_script(pages: Pages) -> None:
    pages.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        pages.open("clusters/0")
        pages.all(".grid .tick input")[0].send_keys(" ")
        pages.find("#pictures input[name=to]").send_keys("cat")
        pages.find("#pictures button[value=move]").click()
        assert "Moved 1 image to 1 (cat)." in pages.driver.page_source
        field = pages.find("#rename input[name=name]")
        field.clear()
        field.send_keys("hound")
        pages.find("#rename button").click()
        assert pages.find("h1").text == "hound"
    finally:
        pages.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_taken_name_is_told(pages: Pages) -> None:
    pages.open("clusters/0")
    pages.press("e", "cat", "\ue007")
    pages.wait("document.querySelector('h1').textContent === 'This does not fit any more'")
    assert [button.text for button in pages.all("main form button:not([hidden])") if button.text] == [
        "Merge it into 1",
        "Call it cat (2)",
    ]
    pages.driver.get_log("browser")  # Chromium notes the status 409 as an error


@pytest.mark.parametrize("width", [320, 1300])
def test_nothing_sticks_out(pages: Pages, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    pages.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for page in ("", "clusters/0", "unsure", "history", "hidden", "reviewed", "about"):
        pages.open(page)
        assert pages.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), page


ATTACK = """<!doctype html><meta charset="utf-8"><title>elsewhere</title><body><script>
const base = BASE, edit = JSON.stringify({op: "rename", cluster: 0, name: "stolen", uuid: "evil"});
const told = {};
const form = document.createElement("form");
form.method = "post"; form.action = base + "edits"; form.target = "sink";
for (const [name, value] of Object.entries({op: "rename", cluster: "0", name: "stolen", seq: "0", back: "",
    uuid: crypto.randomUUID?.() || "00000000-0000-4000-8000-000000000000"})) {
  const field = document.createElement("input"); field.name = name; field.value = value; form.append(field);
}
const sink = document.createElement("iframe"); sink.name = "sink"; document.body.append(sink, form);
const image = (path) => new Promise((done) => {
  const it = new Image(); it.onload = () => done("shown"); it.onerror = () => done("refused"); it.src = base + path;
});
const ask = (options) => fetch(base + (options.method ? "edits" : "index.json"), options)
  .then((answer) => answer.type, () => "refused");
(async () => {
  form.submit();
  told.simple = await ask({method: "POST", mode: "no-cors", body: edit, headers: {"Content-Type": "text/plain"}});
  told.json = await ask({method: "POST", body: edit, headers: {"Content-Type": "application/json"}});
  told.read = await ask({});
  told.image = await image("thumbnails/THUMBNAIL.webp");
  told.css = await new Promise((done) => {
    const link = document.createElement("link"); link.rel = "stylesheet"; link.href = base + "static/live.css";
    link.onload = () => done("shown"); link.onerror = () => done("refused"); document.head.append(link);
  });
  told.socket = await new Promise((done) => {
    const socket = new WebSocket(base.replace("http", "ws"));
    socket.onopen = () => done("open"); socket.onerror = () => done("refused");
  });
  setTimeout(() => { window.told = told; }, 500);
})();
</script>"""


def read(live: Running, page: str) -> Any:
    return json.loads(live.ask(request(live, page)).partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_elsewhere_that_knows_the_key(driver: Any, live: Running, host: str) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    image_id = read(live, "clusters/0.json")["pictures"][0]["id"]
    text = ATTACK.replace("BASE", json.dumps(live.url)).replace("THUMBNAIL", image_id)

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    Thread(target=server.serve_forever, daemon=True).start()
    pages = Pages(driver, f"http://{host}:{server.server_port}/")
    try:
        pages.open("")
        pages.wait("window.told !== undefined")
        told = driver.execute_script("return window.told")
    finally:
        server.shutdown()
        server.server_close()
    assert set(told.values()) == {"refused"}
    assert read(live, "history.json")["entries"] == []
    assert read(live, "clusters/0.json")["card"]["name"] == "dog"
    driver.get(live.url)  # the link itself is let in
    assert driver.title == "trip"
    driver.get_log("browser")
