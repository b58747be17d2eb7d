"""The registry: names, errors, plug-ins."""

from importlib.metadata import EntryPoint
from typing import NamedTuple

import pytest

from covey.errors import MissingExtraError, UnknownNameError
from covey.registry import Registry, require


@pytest.fixture
def registry() -> Registry:
    return Registry("thing", "covey.test_things", {"path": "pathlib:Path", "join": "os.path:join"})


def test_gives_the_object_behind_a_name(registry: Registry) -> None:
    from pathlib import Path

    assert registry["path"] is Path
    assert list(registry) == ["join", "path"]
    assert len(registry) == 2
    assert "path" in registry
    assert registry.get("nothing") is None


def test_an_unknown_name_gets_the_nearest_and_all(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown thing 'paht'\. Did you mean 'path'\? There are: join, path\."):
        registry["paht"]


def test_plugins_are_added(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint(name="pi", value="math:pi", group="covey.test_things")
    monkeypatch.setattr("covey.registry.entry_points", lambda group: [point])
    assert registry["pi"] == pytest.approx(3.14159, abs=1e-5)


def test_a_taken_name_names_both_claimants(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint(name="path", value="other:Path", group="covey.test_things")
    monkeypatch.setattr("covey.registry.entry_points", lambda group: [point])
    with pytest.raises(ValueError, match=r"'pathlib:Path' and by 'other:Path'"):
        list(registry)


class Row(NamedTuple):
    name: str
    target: str
    title: str = ""


def test_rows_describe_their_items_without_an_import() -> None:
    rows = Registry("thing", "covey.test_things", [Row("nowhere", "no_such_module:Thing", "a thing of nowhere")])
    assert rows.spec("nowhere").title == "a thing of nowhere"
    assert [row.name for row in rows.specs()] == ["nowhere"]
    with pytest.raises(ModuleNotFoundError):
        rows["nowhere"]
    with pytest.raises(UnknownNameError):
        rows.spec("elsewhere")


def test_a_plugin_brings_its_row_or_promises_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "plugin_here.py").write_text("class A: pass\nclass B: covey_spec = 'its own row'\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [EntryPoint(name=name, value=f"plugin_here:{name}", group="covey.test_things") for name in "AB"]
    monkeypatch.setattr("covey.registry.entry_points", lambda group: points)
    things = Registry("thing", "covey.test_things", [], default_spec=Row)
    assert things.spec("A") == Row("A", "plugin_here:A")
    assert things.spec("B") == "its own row"


def test_items_are_registered_until_the_block_ends(registry: Registry) -> None:
    with registry.register("three", 3, spec=Row("three", "")):
        assert registry["three"] == 3
        assert registry.spec("three").name == "three"
        with registry.register("path", "os.path:dirname"):
            assert registry["path"]("a/b") == "a"
    assert list(registry) == ["join", "path"]
    assert registry["path"].__name__ == "Path"


def test_rows_are_made_when_the_first_name_is_asked_for() -> None:
    made = []
    things = Registry("thing", "covey.test_things", lambda: made.append(1) or {"one": 1})
    assert made == []
    assert things["one"] == 1
    assert "two" not in things
    assert made == [1]


def test_a_missing_extra_says_what_to_install() -> None:
    with pytest.raises(MissingExtraError, match=r"backbone .x. needs no_such_module_here.*covey\[thing\]"):
        require("no_such_module_here", extra="thing", for_="backbone 'x'")


def test_a_broken_module_keeps_its_own_error(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_here.py").write_text("import no_such_module_inside\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_inside"):
        require("broken_here", extra="thing", for_="backbone 'x'")
