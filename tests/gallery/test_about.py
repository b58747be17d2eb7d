import pytest

from covey.gallery._about import build_tables, date_in_words, find_caveats
from covey.store import Ledger, PartitionInfo


def info(**changes: object) -> PartitionInfo:
    values = {
        "id": 1, "name": "001-temi", "created_at": "2026-11-02T10:31:07+00:00", "method": "temi",
        "params": {"n_clusters": 10, "beta": 0.6, "device": None}, "info": {}, "fingerprint": "f" * 64, "n_images": 90,
        "n_clusters": 10, "covey_version": "0.1.0",
    }  # fmt: skip
    return PartitionInfo(**{**values, **changes})


LEDGER = Ledger(100, 90, 7, {"ERROR_PERMISSION": 3})


def test_every_recorded_fact_is_told_once() -> None:
    recorded = {
        "backbone": {"name": "lite2", "n_features": 1280},
        "seconds": {"scan": 3.14159, "embed": 44.0},
        "selection": {"candidates": [2, 3]},
        "diagnostics": {"head_losses": [-2.0 - i / 50 for i in range(50)], "has_converged": True},
        "n_computed": 12_345,
    }
    facts = [fact for table in build_tables(info(info=recorded), LEDGER) for fact in table.facts]
    assert len({fact.key for fact in facts}) == len(facts)
    told = dict(facts)
    assert told["beta"] == "0.6"
    assert told["device"] == "—"
    assert told["backbone, n_features"] == "1280"
    assert told["scan"] == "3.142"
    assert told["n_computed"] == "12,345"
    assert told["has_converged"] == "yes"
    assert told["head_losses"] == "-2, -2.02 … -2.98 (50 values)"
    assert told["ERROR_PERMISSION"] == "3"
    assert told["covey"] == "0.1.0"
    assert "candidates" not in told  # drawn as a curve


def test_tables_without_facts_are_left_out() -> None:
    titles = [table.title for table in build_tables(info(params={}), LEDGER)]
    assert titles == ["Run", "Files"]


@pytest.mark.parametrize(
    ("moment", "words"),
    [("2026-11-02T10:31:07+00:00", "2 November 2026"), ("2026-01-31T00:00:00Z", "31 January 2026"), ("once", "once")],
)
def test_dates_in_words(moment: str, words: str) -> None:
    assert date_in_words(moment) == words


def test_every_backbone_is_told() -> None:
    recorded = {"backbone": [{"name": "lite2", "n_features": 1280}, {"name": "patches", "n_features": 512}]}
    (run, _, _) = build_tables(info(info=recorded), LEDGER)
    told = dict(run.facts)
    assert told["backbone 1, name"] == "lite2"
    assert told["backbone 2, n_features"] == "512"


@pytest.mark.parametrize(
    ("backbone", "names"),
    [
        ({"name": "lite2"}, ("lite2",)),
        ([{"name": "lite2"}, {"name": "patches"}], ("lite2", "patches")),
        ("lite2", ("lite2",)),
        (None, ()),
    ],
)
def test_names_of_the_backbones(backbone: object, names: tuple[str, ...]) -> None:
    assert info(info={"backbone": backbone}).backbones == names
    assert info().backbones == ()


def test_a_method_on_pixels_is_not_said_to_have_a_backbone() -> None:
    of_features = " ".join(find_caveats(info(info={"backbone": {"name": "lite2"}})))
    of_pixels = " ".join(find_caveats(info(method="mmdc", info={"pixels": "32 x 32", "n_features": 512})))
    assert "backbone" in of_features
    assert "backbone" not in of_pixels
    assert "from these pictures alone" in of_pixels
    assert "Nothing was changed" in of_features
    assert "Nothing was changed" in of_pixels
