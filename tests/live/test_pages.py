"""Every page, its JSON twin and every link on it."""

import re

import pytest
from starlette.testclient import TestClient

PAGES = ("", "unsure", "reviewed", "hidden", "history", "about", "skipped", "clusters/0", "clusters/0?page=2")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_and_its_twin(looker: TestClient, page: str) -> None:
    answer = looker.get(page)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    path, _, query = page.partition("?")
    twin = looker.get(f"{path or 'index'}.json?{query}")
    assert twin.status_code == 200
    assert twin.json()["site"]["n_images"] == 40


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(looker: TestClient, page: str) -> None:
    from urllib.parse import urljoin

    html = looker.get(page).text
    found = set(re.findall(r'(?:href|src|action)="([^"#]+)', html))
    assert len(found) > 5
    for link in found:
        url = urljoin(str(looker.base_url.join(page)), link)
        assert url.startswith(str(looker.base_url)), link
        if not url.endswith("/edits"):
            assert looker.get(url).status_code == 200, link
