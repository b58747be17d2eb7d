"""The journal: stored once, mirrored, and carried to another copy."""

from collections.abc import Callable
from pathlib import Path

import pytest

from covey.corrections import open_curation, replay_edits
from covey.errors import CoveyError, InvalidValueError, ProjectError
from covey.store import Journal, Project, parse_edit_line

from .conftest import add_run, arrays_of, lines_of

PICTURES = ["img000.png", "img001.png", "img002.png"]


def edit_a_little(root: Path) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename("dog", "wolf")
        curation.move(PICTURES, new="together")
        curation.undo()
        curation.merge("cat", "boat")
        curation.reject(["img006.png"])
        curation.group(["cat"], "Animals")


def test_the_same_uuid_twice_is_one_edit(root: Path) -> None:
    with Project.open(root) as project:
        first = open_curation(project).rename(0, "wolf", uuid="abc")
        second = open_curation(project).rename(0, "wolf", uuid="abc")
        assert (first.is_new, second.is_new, second.seq) == (True, False, first.seq)
        assert Journal(project).last_seq() == first.seq


def test_two_open_copies_see_what_the_other_did(root: Path) -> None:
    with Project.open(root) as one, Project.open(root) as two:
        a, b = open_curation(one), open_curation(two)
        a.rename("dog", "wolf")
        with pytest.raises(InvalidValueError, match="'wolf' already"):
            b.rename("cat", "Wolf")
        b.merge("cat", "boat")
        a.refresh()
        assert arrays_of(a.state) == arrays_of(b.state)


def test_the_mirror_is_appended_to_and_rebuilt_where_it_lags(root: Path) -> None:
    edit_a_little(root)
    mirror = root / "edits.jsonl"
    whole = mirror.read_bytes()
    lines = lines_of(mirror)
    assert [line["seq"] for line in lines] == list(range(1, 8))
    assert [line["op"] for line in lines] == ["start", "rename", "move", "undo", "merge", "reject", "group"]
    assert all(len(key) == 64 for line in lines for key in line["images"])
    for damage in (b"", whole[:-20], whole.replace(b'"seq": 7', b'"seq": 99'), b"not a journal\n", None):
        mirror.unlink()
        if damage is not None:
            mirror.write_bytes(damage)
        with Project.open(root) as project:
            curation = open_curation(project)
            curation.hide("flower", value=len(curation.edits) % 2 == 1)
            assert [line["seq"] for line in lines_of(mirror)] == [edit.seq for edit in curation.edits]
        assert mirror.read_bytes().startswith(whole)


def test_a_mirror_that_cannot_be_written_loses_no_edit(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "edits.jsonl").mkdir()
    with Project.open(root) as project:
        seq = open_curation(project).rename(0, "wolf").seq
        assert Journal(project).last_seq() == seq
    assert "lags behind" in caplog.text


def test_edits_applied_to_a_copy_give_the_same_state(root: Path, copy_of: Callable[[Path, str], Path]) -> None:
    other = copy_of(root, "copy.covey")
    edit_a_little(root)
    with Project.open(other) as project, Project.open(root) as original:
        curation = open_curation(project)
        report = replay_edits(curation, root / "edits.jsonl")
        assert (report.n_applied, report.n_known, report.refused, report.n_missing) == (7, 0, (), 0)
        assert arrays_of(curation.state) == arrays_of(open_curation(original).state)
        again = replay_edits(curation, root / "edits.jsonl")
        assert (again.n_applied, again.n_known) == (0, 7)
    assert (other / "edits.jsonl").read_bytes() == (root / "edits.jsonl").read_bytes()


def test_edits_that_make_no_sense_in_the_other_copy_are_left_out_and_told(
    root: Path, copy_of: Callable[[Path, str], Path]
) -> None:
    other = copy_of(root, "copy.covey")
    edit_a_little(root)
    with Project.open(other) as project:
        curation = open_curation(project)
        curation.merge("dog", "boat")
        report = replay_edits(curation, root / "edits.jsonl")
        assert [number for number, _ in report.refused] == [5], "boat is gone here"
        assert "merged into 0" in report.refused[0][1]
        assert curation.stranded == ()
        assert curation.state.clusters[0].name == "wolf"


def test_edits_of_another_run_are_refused(root: Path, features, copy_of: Callable[[Path, str], Path]) -> None:
    import numpy as np

    other = copy_of(root, "copy.covey")
    edit_a_little(root)
    with Project.open(other) as project:
        add_run(project, features, np.arange(40) % 2)
        curation = open_curation(project)
        curation.rename(0, "x")
        with pytest.raises(InvalidValueError, match="do not fit"):
            replay_edits(curation, root / "edits.jsonl")


BAD_LINES = {
    "not JSON": "{",
    "a list": "[]",
    "NaN": '{"seq": NaN}',
    "too large a number": '{"seq":1,"uuid":"a","at":"","author":"","op":"x","payload":{},"images":{"a":1e400}}',
    "deep": "[" * 100_000,
    "no uuid": '{"seq":1,"uuid":"","at":"","author":"","op":"x","payload":{},"images":{}}',
    "payload of another type": '{"seq":1,"uuid":"a","at":"","author":"","op":"x","payload":[],"images":{}}',
    "image value of another type": '{"seq":1,"uuid":"a","at":"","author":"","op":"x","payload":{},"images":{"a":true}}',
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_line_that_is_no_edit_is_refused(name: str) -> None:
    with pytest.raises(InvalidValueError, match="line 1"):
        parse_edit_line(BAD_LINES[name], "line 1")


@pytest.mark.parametrize(
    ("op", "payload"),
    [
        ("rename", {"cluster": "0", "name": "x"}),
        ("rename", {"cluster": 0, "name": 5}),
        ("rename", {"cluster": True, "name": "x"}),
        ("rename", {"cluster": 10**30, "name": "x"}),
        ("merge", {"into": 0, "from": 1}),
        ("merge", {"into": 0, "from": []}),
        ("move", {}),
        ("split", {"cluster": 0, "parts": "ab"}),
        ("review", {"cluster": 0, "value": 1}),
        ("group", {"clusters": [0], "to": 7}),
        ("adopt", {"partition": 1, "ids": [[0]]}),
        ("adopt", {"partition": "x"}),
        ("undo", {}),
    ],
)
def test_payloads_of_a_foreign_file_are_checked(root: Path, op: str, payload: dict, tmp_path: Path) -> None:
    import json

    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename(1, "lion")
        before = arrays_of(curation.state)
        record = {**lines_of(root / "edits.jsonl")[0], "seq": 9, "uuid": "u", "op": op, "payload": payload}
        file = tmp_path / "foreign.jsonl"
        start = json.dumps(lines_of(root / "edits.jsonl")[0])
        file.write_text(f"{start}\n{json.dumps({**record, 'undoes': None, 'images': {}})}\n")
        report = replay_edits(curation, file)
        assert [number for number, _ in report.refused] == [9]
        assert arrays_of(curation.state) == before
        assert len(curation.edits) == 2


def test_a_project_without_a_run_says_so(tmp_path: Path) -> None:
    with (
        Project.open(tmp_path / "empty.covey", create=True) as project,
        pytest.raises(ProjectError, match="no partition"),
    ):
        open_curation(project)


def test_a_full_disk_keeps_nothing_half(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename(0, "wolf")
        before = arrays_of(curation.state)

        def full(*_args, **_keywords):
            raise sqlite3.OperationalError("database or disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", full)
            with pytest.raises(CoveyError, match="disk is full"):
                curation.rename(1, "lion")
        assert arrays_of(curation.state) == before
        curation.rename(1, "lion")
