"""Who may ask for what: a table of requests with the status each must get, with the right key and without it."""

import json
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from covey.gallery.live._media import image_type
from covey.gallery.live._security import CONTENT_SECURITY_POLICY, MAX_BODY_BYTES, new_key
from covey.gallery.live._served import ServedProject
from covey.store import Project

from .conftest import HOST, KEY, client_of, journal_of, make_project

OWN = f"http://{HOST}"
PAGES = ("", "unsure", "reviewed", "hidden", "history", "about", "skipped", "clusters/0", "clusters/none", "index.json",
         "clusters/0.json", "state.json", "static/gallery.css", "nothing")  # fmt: skip

# Headers of a write, and whether it is let in.
WRITES = [
    ({}, True),
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": OWN}, True),
    ({"Origin": OWN}, True),
    ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, True),
    ({"Sec-Fetch-Site": "cross-site"}, False),
    ({"Sec-Fetch-Site": "same-site"}, False),
    ({"Sec-Fetch-Site": "none"}, False),
    ({"Sec-Fetch-Site": ""}, False),
    ({"Sec-Fetch-Site": "SAME-ORIGIN"}, False),
    ({"Sec-Fetch-Site": "same-origin, cross-site"}, False),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, False),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"}, False),
    ({"Sec-Fetch-Site": "cross-site", "Origin": OWN}, False),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": ""}, False),
    ({"Origin": "http://evil.example"}, False),
    ({"Origin": "http://127.0.0.1"}, False),
    ({"Origin": "http://127.0.0.1:9999"}, False),
    ({"Origin": "http://localhost:8765"}, False),
    ({"Origin": "https://127.0.0.1:8765"}, False),
    ({"Origin": f"{OWN}.evil.example"}, False),
    ({"Origin": f"{OWN} http://evil.example"}, False),
    ({"Sec-Fetch-Mode": "no-cors"}, False),
    ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, False),
]
READS = [
    ({}, 200),
    ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
    ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 200),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
    ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "something"}, 403),
]
HOSTS = [
    (HOST, 200),
    ("localhost:8765", 200),
    ("127.0.0.1", 421),
    ("localhost", 421),
    ("127.0.0.1:9999", 421),
    ("evil.example", 421),
    ("evil.example:8765", 421),
    ("localhost.:8765", 421),
    ("LOCALHOST:8765", 421),
    ("127.0.0.1:8765.evil.example", 421),
    ("user@127.0.0.1:8765", 421),
    ("0.0.0.0:8765", 421),
    ("[::1]:8765", 421),
    ("", 421),
]
KEYS = ["", "k", "k/", f"k/{KEY}", "k/wrong/", f"k/{KEY[:-1]}/", f"k/{KEY}x/", f"k/{KEY.upper()}/", f"K/{KEY}/",
        f"{KEY}/", f"k//{KEY}/", f"x/k/{KEY}/", "static/gallery.css", "edits"]  # fmt: skip
PATHS = [
    "..%2f..%2fetc%2fpasswd", "pictures/..%2f..%2fproject.sqlite", "pictures/%2fetc%2fpasswd", "pictures/img000.png",
    "pictures/", "pictures/" + "0" * 64, "pictures/" + "g" * 64, "pictures/" + "A" * 64, "pictures/" + "0" * 63,
    "pictures/" + "0" * 64 + "%00", "thumbnails/..%2f..%2fproject.sqlite.webp", "thumbnails/" + "0" * 64 + ".webp",
    "thumbnails/" + "0" * 64 + ".png", "static/..%2f_pages.py", "static/", "static/live", "clusters/-1", "clusters/99",
    "clusters/0x0", "clusters/%D9%A1", "clusters/0?page=0", "clusters/0?page=99", "clusters/0?page=x", "clusters/0/",
    "clusters/" + "9" * 40, "clusters/..%2f..", "unsure/", "edits/", "project.sqlite", "edits.jsonl", "%00",
]  # fmt: skip


def rename(name: str = "new name") -> dict[str, object]:
    return {"op": "rename", "cluster": 0, "name": name, "uuid": str(uuid4()), "seq": 0}


@pytest.mark.parametrize(("headers", "is_allowed"), WRITES, ids=str)
def test_writes_come_from_covey_only(
    client: TestClient, served: ServedProject, headers: dict[str, str], is_allowed: bool
) -> None:
    form = {key: str(value) for key, value in rename().items()}
    answers = [client.post("edits", json=rename("by json"), headers=headers)]
    assert answers[0].status_code == (201 if is_allowed else 403), answers[0].text
    seq = str(served.state.seq)
    answers.append(client.post("edits", data={**form, "seq": seq}, headers=headers))
    assert answers[1].status_code == (303 if is_allowed else 403)
    assert len(journal_of(served)) == (3 if is_allowed else 0)
    assert served.state.clusters[0].name == ("new name" if is_allowed else "dog")


@pytest.mark.parametrize("name", ["Origin", "Sec-Fetch-Site", "Content-Type", "Host"])
def test_a_header_twice_is_refused(client: TestClient, served: ServedProject, name: str) -> None:
    value = {"Origin": OWN, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", "Host": HOST}[name]
    headers = [(name, value), (name, value)]
    answer = client.post("edits", content=json.dumps(rename()), headers=headers)
    assert answer.status_code == (421 if name == "Host" else 400)
    assert journal_of(served) == []


@pytest.mark.parametrize(("headers", "status"), READS, ids=str)
def test_reads_from_other_sites(looker: TestClient, headers: dict[str, str], status: int) -> None:
    assert looker.get("clusters/0", headers=headers).status_code == status
    assert looker.get("index.json", headers=headers).status_code == status


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_host(looker: TestClient, host: str, status: int) -> None:
    answer = looker.get("about", headers={"Host": host})
    assert answer.status_code == status
    assert ("trip" in answer.text) == (status == 200)


@pytest.mark.parametrize("path", KEYS)
def test_without_the_key_there_is_nothing(looker: TestClient, path: str) -> None:
    for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT"):
        answer = looker.request(method, f"{OWN}/{path}", json=rename())
        assert answer.status_code == 404, method
        assert "trip" not in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out(looker: TestClient, path: str) -> None:
    answer = looker.get(path)
    assert answer.status_code == 404
    assert "SQLite" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_other_methods(client: TestClient, served: ServedProject, method: str) -> None:
    for path in ("", "edits", "clusters/0"):
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD, POST"
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.post("clusters/0", json=rename(), headers={"X-HTTP-Method-Override": "GET"}).status_code == 405
    assert client.get("edits").status_code == 405
    assert journal_of(served) == []


@pytest.mark.parametrize("path", PAGES)
def test_head_is_get_without_a_body(looker: TestClient, path: str) -> None:
    assert looker.head(path).status_code == looker.get(path).status_code
    assert looker.head(path).content == b""


def answers(client: TestClient, ids: list[str]) -> list:
    """Return one answer of every kind."""
    found = [client.get(path) for path in PAGES]
    found += [client.get(f"thumbnails/{ids[0]}.webp"), client.get(f"pictures/{ids[0]}"), client.get(f"{OWN}/")]
    found += [client.get("", headers={"Host": "evil.example"}), client.options("")]
    found += [client.post("edits", json=rename()), client.post("edits", content=b"x"), client.post("edits", json=[])]
    found += [client.post("edits", json=rename(), headers={"Origin": "null"})]
    return [*found, client.get(f"thumbnails/{ids[0]}.webp", headers={"If-None-Match": f'"{ids[0]}"'})]


def test_headers_of_every_answer(client: TestClient, ids: list[str]) -> None:
    found = answers(client, ids)
    assert {200, 201, 304, 400, 403, 404, 405, 415, 421} <= {answer.status_code for answer in found}
    for answer in found:
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "set-cookie" not in answer.headers
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    kinds = {answer.headers.get("cache-control") for answer in found[:9]}
    assert kinds == {"no-store"}


@pytest.mark.parametrize("page", PAGES[:9])
def test_pages_hold_no_script_and_no_style(looker: TestClient, page: str) -> None:
    import re

    html = looker.get(page).text
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", html)
    assert "<b>boat" not in html
    assert KEY not in html


def test_bodies(client: TestClient, served: ServedProject) -> None:
    is_json = {"Content-Type": "application/json"}
    too_long = b'{"op":"' + b"x" * MAX_BODY_BYTES + b'"}'
    assert client.post("edits", content=too_long, headers=is_json).status_code == 413

    def in_pieces():
        for _ in range(6):
            yield b"x" * 1024 * 1024

    assert client.post("edits", content=in_pieces(), headers=is_json).status_code == 413
    for kind in ("text/plain", "multipart/form-data; boundary=x", "text/json", "application/jsonp", ""):
        assert client.post("edits", content=b"{}", headers={"Content-Type": kind}).status_code == 415, kind
    compressed = {**is_json, "Content-Encoding": "gzip"}
    assert client.post("edits", content=b"{}", headers=compressed).status_code == 415
    bad = [b"", b"[]", b"null", b"{", b"\xff", b"[" * 9999, b'{"op":1}', b'{"op":"rename"}', b'{"uuid":"","op":"undo"}',
           b'{"op":"rename","uuid":"a","cluster":0,"seq":NaN}', b'{"op":"rename","uuid":"a","seq":true}']  # fmt: skip
    for body in bad:
        assert client.post("edits", content=body, headers=is_json).status_code == 400, body
    many = urlencode([("image", "0" * 64)] * 10_200)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for text in (many, "op=undo", "op=undo&uuid=x&seq=0", f"op=undo&uuid={uuid4()}&seq=-1", "%ff=%ff&op=undo"):
        assert client.post("edits", content=text, headers=form).status_code == 400, text[:40]
    assert client.get("history?" + "x" * 9000).status_code == 414
    assert journal_of(served) == []


def test_reading_changes_nothing(client: TestClient, served: ServedProject, ids: list[str], tmp_path: Path) -> None:
    database = tmp_path / "trip.covey" / "project.sqlite"
    before = database.read_bytes()
    for path in (*PAGES, f"pictures/{ids[0]}", f"thumbnails/{ids[0]}.webp", "?done=1", "history?op=undo&uuid=1&seq=0"):
        client.get(path)
        client.head(path)
    assert database.read_bytes() == before
    assert not (tmp_path / "trip.covey" / "edits.jsonl").exists()


def test_read_only(reader: TestClient, served: ServedProject) -> None:
    assert reader.post("edits", json=rename()).status_code == 405
    assert reader.get("edits").status_code == 404
    for page in PAGES[:9]:
        html = reader.get(page).text
        assert "<form" not in html
        assert 'type="checkbox"' not in html
    assert journal_of(served) == []


def test_what_stands_in_a_files_place(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    import os

    ids = make_project(tmp_path / "own.covey", tmp_path / "pictures")
    served = ServedProject(tmp_path / "own.covey")
    request.addfinalizer(served.close)
    client = client_of(served)
    path = tmp_path / "pictures" / "img000.png"
    answer = client.get(f"pictures/{ids[0]}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == path.read_bytes()
    for harmful in (b"<svg onload=alert(1)>", b"<!doctype html><script>", b""):
        path.write_bytes(harmful)
        answer = client.get(f"pictures/{ids[0]}")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"] == "attachment"
        assert "sandbox" in answer.headers["content-security-policy"]
    path.unlink()
    assert client.get(f"pictures/{ids[0]}").status_code == 404
    path.mkdir()
    assert client.get(f"pictures/{ids[0]}").status_code == 404
    path.rmdir()
    os.mkfifo(path)
    assert client.get(f"pictures/{ids[0]}").status_code == 404


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x20ftypavif", "image/avif"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"<?xml version='1", None),
        (b"\0\0\0\x20ftypheic", None),
        (b"II*\0", None),
    ],
)
def test_types_come_from_the_bytes(first: bytes, kind: str | None) -> None:
    assert image_type(first) == kind


def test_keys_are_long_and_new() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {22}


def test_the_key_is_in_no_file(client: TestClient, served: ServedProject, tmp_path: Path) -> None:
    client.post("edits", json=rename())
    with Project.open(tmp_path / "trip.covey"):
        found = [path for path in (tmp_path / "trip.covey").rglob("*") if path.is_file()]
    assert not [path for path in found if KEY.encode() in path.read_bytes()]
