"""The registry: names, errors, plug-ins."""

from importlib.metadata import EntryPoint

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


def test_a_missing_extra_says_what_to_install() -> None:
    with pytest.raises(MissingExtraError, match=r"backbone .x. needs no_such_module_here.*covey\[thing\]"):
        require("no_such_module_here", extra="thing", for_="backbone 'x'")


def test_a_broken_module_keeps_its_own_error(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_here.py").write_text("import no_such_module_inside\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_inside"):
        require("broken_here", extra="thing", for_="backbone 'x'")
