"""Every operation, as a form and as JSON, with what it leaves; conflicts, double submits, and the way back."""

import json
import re
from urllib.parse import urljoin
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from covey.corrections import correct_again
from covey.curation import ASIDE, CONFIRMED, PERSON
from covey.gallery.live._served import ServedProject
from covey.store import Project

from .conftest import client_of, journal_of


def form_of(html: str, op: str, number: int = 0) -> dict[str, object]:
    """Return the fields of a form that has a button for an operation, as a browser would send them."""
    forms = [text for text in re.findall(r"<form.*?</form>", html, re.S) if f'value="{op}"' in text]
    fields = re.findall(r'<input[^>]*type="hidden"[^>]*name="(\w+)" value="([^"]*)"', forms[number])
    return {**dict(fields), "op": op}


def post(client: TestClient, page: str, op: str, number: int = 0, **fields: object):
    return client.post("edits", data={**form_of(client.get(page).text, op, number), **fields})


def send(client: TestClient, op: str, **values: object):
    body = json.dumps({"op": op, "uuid": str(uuid4()), **values})
    return client.post("edits", content=body, headers={"Content-Type": "application/json"})


def test_rename_and_undo_by_form(client: TestClient, served: ServedProject) -> None:
    answer = post(client, "clusters/0", "rename", name="hound")
    assert (answer.status_code, answer.headers["location"]) == (303, "./clusters/0?done=2")
    page = client.get("clusters/0?done=2").text
    assert "<h1>hound</h1>" in page
    assert "Named 0 &#39;hound&#39;." in page
    back = post(client, "clusters/0?done=2", "undo")
    assert back.status_code == 303
    assert "<h1>dog</h1>" in client.get("clusters/0").text
    assert [edit.op for edit in journal_of(served)] == ["start", "rename", "undo"]
    again = post(client, "history", "redo")
    assert again.status_code == 303
    assert "<h1>hound</h1>" in client.get("clusters/0").text


def test_merge_by_form(client: TestClient, served: ServedProject) -> None:
    answer = post(client, "clusters/1", "merge", into="dog", name="")
    assert answer.status_code == 303, answer.text
    assert served.state.sizes()[0] == 20
    assert client.get("clusters/1").status_code == 308
    assert client.get("clusters/1").headers["location"] == "0"
    assert client.get("clusters/1.json").headers["location"] == "0.json"
    assert client.get(urljoin("clusters/1", client.get("clusters/1").headers["location"])).status_code == 200
    cards = {card["label"]: card for card in client.get("index.json").json()["cards"]}
    assert (cards[0]["size"], 1 in cards) == (20, False)


def test_merge_of_ticked_clusters(client: TestClient, served: ServedProject) -> None:
    answer = post(client, "", "merge", cluster=["2", "1", "0"], into="", name="things")
    assert (answer.status_code, answer.headers["location"]) == (303, "./?done=2")
    assert served.state.clusters[2].name == "things"
    assert served.state.sizes() == {2: 30, 3: 10}


def test_move_by_form(client: TestClient, served: ServedProject, ids: list[str]) -> None:
    answer = post(client, "clusters/0?page=2", "move", image=[ids[0], ids[4]], to="CAT")
    assert (answer.status_code, answer.headers["location"]) == (303, "./clusters/0?page=2&done=2")
    assert served.state.cluster[[0, 4]].tolist() == [1, 1]
    assert served.state.state[[0, 4]].tolist() == [PERSON, PERSON]
    page = client.get("clusters/1").text
    assert page.count('<span class="badge">by hand</span>') == 0  # the two are the least sure and on the last page
    assert client.get("clusters/1?page=2").text.count('<span class="badge">by hand</span>') == 2
    made = post(client, "clusters/1", "make", image=[ids[0]], to="a new one")
    assert made.status_code == 303
    assert served.state.clusters[4].name == "a new one"


def test_an_unknown_target_offers_a_new_cluster(client: TestClient, served: ServedProject, ids: list[str]) -> None:
    answer = post(client, "clusters/0", "move", image=[ids[0]], to="horses")
    assert answer.status_code == 422
    assert "no cluster &#39;horses&#39;" in answer.text
    assert "Make a new cluster horses" in answer.text
    forms = [text for text in re.findall(r"<form.*?</form>", answer.text, re.S) if "Make a new" in text]
    fields = re.findall(r'name="(\w+)" value="([^"]*)"', forms[0])
    assert client.post("edits", data=dict(fields)).status_code == 303
    assert served.state.clusters[4].name == "horses"


def test_a_taken_name_offers_to_merge(client: TestClient, served: ServedProject) -> None:
    answer = post(client, "clusters/0", "rename", name="Cat")
    assert answer.status_code == 409
    assert "Merge it into 1" in answer.text
    assert "Call it Cat (2)" in answer.text
    forms = [text for text in re.findall(r"<form.*?</form>", answer.text, re.S) if "Merge it" in text]
    assert client.post("edits", data=dict(re.findall(r'name="(\w+)" value="([^"]*)"', forms[0]))).status_code == 303
    assert served.state.clusters[0].merged_into == 1


def test_pictures_by_form(client: TestClient, served: ServedProject, ids: list[str]) -> None:
    assert post(client, "clusters/0", "confirm", image=ids[0]).status_code == 303
    assert served.state.state[0] == CONFIRMED
    assert post(client, "clusters/0", "reject", image=ids[4]).status_code == 303
    assert served.state.cluster[4] not in (0, -1)
    assert post(client, "clusters/0", "set_aside", image=[ids[8]]).status_code == 303
    assert (served.state.cluster[8], served.state.state[8]) == (-1, ASIDE)
    assert ids[8] in client.get("clusters/none").text
    assert post(client, "clusters/none", "move", image=ids[8], to="0").status_code == 303
    assert served.state.cluster[8] == 0


def test_nothing_ticked(client: TestClient, served: ServedProject) -> None:
    answer = post(client, "clusters/0", "move", to="cat")
    assert answer.status_code == 422
    assert "No image was named" in answer.text
    assert journal_of(served) == []


def test_clusters_by_form(client: TestClient, served: ServedProject) -> None:
    assert post(client, "clusters/0", "review").status_code == 303
    assert served.state.clusters[0].is_reviewed
    assert [card["label"] for card in client.get("reviewed.json").json()["cards"]] == [0]
    assert post(client, "clusters/0", "review").status_code == 303
    assert not served.state.clusters[0].is_reviewed
    assert post(client, "clusters/1", "hide").status_code == 303
    assert [card["label"] for card in client.get("hidden.json").json()["cards"]] == [1]
    assert len(client.get("index.json").json()["cards"]) == 3
    assert client.get("clusters/1").status_code == 200
    assert post(client, "hidden", "hide").status_code == 303
    assert len(client.get("index.json").json()["cards"]) == 4
    assert post(client, "", "group", cluster=["0", "2"], to="Nature").status_code == 303
    assert served.state.groups == {0: "Nature"}
    assert "in <bdi>Nature</bdi>" in client.get("").text
    assert post(client, "clusters/2", "group", to="").status_code == 303
    assert served.state.clusters[2].group is None
    assert post(client, "clusters/0", "split", n_parts="3").status_code == 303
    assert len(served.state.alive) == 6


def test_unsure_queue(client: TestClient, served: ServedProject) -> None:
    queue = client.get("unsure.json").json()["pictures"]
    assert post(client, "unsure", "confirm").status_code == 303
    assert post(client, "unsure", "move").status_code == 303
    left = client.get("unsure.json").json()["pictures"]
    assert queue[0]["id"] not in {picture["id"] for picture in left}
    moved = journal_of(served)[-1]
    assert (moved.op, moved.n_images) == ("move", 1)


def test_the_same_form_twice_is_one_edit(client: TestClient, served: ServedProject) -> None:
    form = {**form_of(client.get("clusters/0").text, "rename"), "name": "hound"}
    first, second = client.post("edits", data=form), client.post("edits", data=form)
    assert first.headers["location"] == second.headers["location"]
    assert len(journal_of(served)) == 2
    # Filled in again after a way back, it is another edit.
    other = client.post("edits", data={**form, "name": "wolf", "seq": str(served.state.seq)})
    assert other.status_code == 303
    assert served.state.clusters[0].name == "wolf"


def test_json(client: TestClient, served: ServedProject, ids: list[str]) -> None:
    uuid = str(uuid4())
    edit = {"op": "move", "uuid": uuid, "seq": 0, "images": {"ids": [ids[0], ids[1]]}, "to": 1}
    told = client.post("edits", json=edit)
    assert told.status_code == 201
    expected = {"seq": 2, "undo": 2, "op": "move", "n_images": 1, "n_unchanged": 1, "is_new": True}
    assert told.json().items() >= {"ok": True, **expected}.items()
    assert told.json()["touched"]["clusters"]["1"] == {"title": "cat", "size": 11}
    assert client.post("edits", json=edit).json()["is_new"] is False
    made = send(client, "move", images=[ids[2]], to={"new": "other"})
    assert made.status_code == 201
    whole = {"query": {"cluster": 1}, "n": 11, "except": [ids[0]]}
    assert send(client, "confirm", images=whole).status_code == 409
    assert send(client, "confirm", images={**whole, "n": 10}).json()["n_images"] == 10
    assert client.get("state.json?seq=3").json()["edits"][0]["seq"] == 4
    assert client.get("state.json?seq=4").status_code == 204


@pytest.mark.parametrize(
    ("op", "values", "status"),
    [
        ("fly", {}, 422),
        ("start", {}, 422),
        ("adopt", {}, 422),
        ("rename", {"cluster": 0, "name": ""}, 201),
        ("rename", {"cluster": 0, "name": "x" * 121}, 422),
        ("rename", {"cluster": 0, "name": "a\u0000b"}, 422),
        ("rename", {"cluster": 0, "name": "a\u202eb"}, 422),
        ("rename", {"cluster": 0, "name": "\ud800"}, 422),
        ("rename", {"cluster": 0, "name": "cat"}, 409),
        ("rename", {"cluster": 0, "name": 5}, 422),
        ("rename", {"cluster": 99, "name": "x"}, 422),
        ("rename", {"cluster": None, "name": "x"}, 422),
        ("rename", {"cluster": True, "name": "x"}, 422),
        ("rename", {"cluster": [0], "name": "x"}, 422),
        ("rename", {"cluster": 10**40, "name": "x"}, 422),
        ("merge", {"into": 0, "from": [0]}, 422),
        ("merge", {"into": 0, "from": []}, 422),
        ("merge", {"into": 0, "from": 1}, 422),
        ("merge", {"into": 0, "from": [1, 1]}, 201),
        ("move", {"images": [], "to": 1}, 422),
        ("move", {"images": ["img000.png"], "to": 1}, 422),
        ("move", {"images": ["/etc/passwd"], "to": 1}, 422),
        ("move", {"images": ["0" * 64], "to": 1}, 422),
        ("move", {"images": {"ids": 5}, "to": 1}, 422),
        ("move", {"images": {"query": {"cluster": 0}, "n": 3}, "to": 1}, 409),
        ("move", {"images": ["0" * 64] * 10_001, "to": 1}, 422),
        ("split", {"cluster": 0, "n_parts": 1}, 422),
        ("split", {"cluster": 0, "n_parts": 9}, 422),
        ("split", {"cluster": 0, "n_parts": "2"}, 422),
        ("review", {"cluster": 0, "value": "yes"}, 422),
        ("hide", {"cluster": 0, "value": False}, 422),
        ("group", {"clusters": [], "to": "x"}, 422),
        ("undo", {}, 422),
        ("undo", {"edit": 1}, 422),
        ("undo", {"edit": "1"}, 422),
        ("undo", {"edit": 1.5}, 422),
        ("redo", {"also": "x"}, 422),
    ],
)
def test_bad_input(client: TestClient, served: ServedProject, op: str, values: dict[str, object], status: int) -> None:
    answer = send(client, op, **values)
    assert answer.status_code == status, answer.text
    if status != 201:
        told = answer.json()
        assert told["ok"] is False
        assert len(told["message"]) > 15
        assert journal_of(served) == []


def test_edits_of_the_same_cluster_conflict(client: TestClient, served: ServedProject, ids: list[str]) -> None:
    stale = client.get("clusters/0").text
    assert send(client, "rename", cluster=0, name="hound", seq=0).status_code == 201
    seen = {**form_of(stale, "rename"), "name": "wolf"}
    answer = client.post("edits", data=seen)
    assert answer.status_code == 409
    assert "named 0 &#39;hound&#39;" in answer.text
    assert served.state.clusters[0].name == "hound"
    forms = [text for text in re.findall(r"<form.*?</form>", answer.text, re.S) if "all the same" in text]
    assert client.post("edits", data=dict(re.findall(r'name="(\w+)" value="([^"]*)"', forms[0]))).status_code == 303
    assert served.state.clusters[0].name == "wolf"
    # Other clusters and images pass, the same image does not.
    assert send(client, "rename", cluster=1, name="lynx", seq=0).status_code == 201
    assert send(client, "move", images=[ids[0]], to=1, seq=served.state.seq).status_code == 201
    assert send(client, "move", images=[ids[4]], to=2, seq=0).status_code == 201
    assert send(client, "move", images=[ids[0]], to=2, seq=0).status_code == 409
    assert send(client, "move", images=[ids[0]], to=2, seq=999).status_code == 422


def test_an_undo_names_what_it_takes_along(client: TestClient, served: ServedProject, ids: list[str]) -> None:
    assert send(client, "move", images=[ids[0]], to={"new": "other"}).json()["seq"] == 2
    assert send(client, "rename", cluster=4, name="others").json()["seq"] == 3
    answer = post(client, "history", "undo", 1)
    assert answer.status_code == 409
    forms = [text for text in re.findall(r"<form.*?</form>", answer.text, re.S) if "Take these along" in text]
    assert client.post("edits", data=dict(re.findall(r'name="(\w+)" value="([^"]*)"', forms[0]))).status_code == 303
    assert 4 not in {cluster.id for cluster in served.state.alive}
    assert client.get("history").text.count('class="undone"') == 2


def test_another_process_is_seen(client: TestClient, served: ServedProject) -> None:
    from covey.corrections import open_curation

    with Project.open(served._root) as project:
        open_curation(project, author="cli").rename(0, "hound")
    assert "<h1>hound</h1>" in client.get("clusters/0").text
    assert "by cli" in client.get("history").text


def test_after_names_only_names_are_new(client: TestClient, served: ServedProject, ids: list[str]) -> None:
    client.get("")
    before = served._corrected
    assert before is not None
    for op, values in (
        ("rename", {"cluster": 0, "name": "hound"}),
        ("review", {"cluster": 1}),
        ("group", {"clusters": [2], "to": "x"}),
        ("rename", {"cluster": 0, "name": ""}),
    ):
        assert send(client, op, **values).status_code == 201
        client.get("")
        again, whole = served._corrected, served._thread.submit(served.curation.corrected).result()
        assert again is not None
        assert again.summaries == whole.summaries
        assert again.confidence is before.confidence
    assert send(client, "move", images=[ids[0]], to=1).status_code == 201
    assert correct_again(before, served.state) is None


def test_back_leads_nowhere_else(client: TestClient) -> None:
    for place in ("//evil.example", "https://evil.example", "../../x", "clusters/0#x", "clusters/0?page=1&x=1", "\\x"):
        form = {
            **form_of(client.get("clusters/0").text, "rename"),
            "name": f"name {len(place)}{place[0]}",
            "back": place,
        }
        assert client.post("edits", data=form).headers["location"].startswith("./?done="), place


def test_an_empty_journal_is_read_only_without_edits(reader: TestClient, served: ServedProject) -> None:
    assert "Nothing has been edited yet." in reader.get("history").text
    assert client_of(served).get("history.json").json()["entries"] == []
