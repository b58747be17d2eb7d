"""Files of experiments: what comes with covey is valid, and what is wrong is named with its place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from covey.bench import (
    PROTOCOLS,
    ExperimentFile,
    find_file,
    narrow_files,
    packaged_experiments,
    read_experiments,
)
from covey.bench._references import CEILINGS, FLOORS
from covey.cluster import CLUSTERERS
from covey.errors import InvalidValueError

Write = Callable[..., ExperimentFile]

MINIMAL = """
references = []
[[experiment]]
set = "digits"
method = "temi"
"""


EXPERIMENTS = Path(__file__).parents[2] / "benchmarks" / "experiments"


@pytest.mark.parametrize(
    "path", [*packaged_experiments().values(), *sorted(EXPERIMENTS.glob("*.toml"))], ids=lambda path: path.stem
)
def test_the_files_that_come_with_covey_are_valid(path: Path) -> None:
    file = read_experiments(path)
    assert file.title
    assert file.note
    assert file.experiments
    for experiment in file.experiments:
        for published in experiment.published:
            assert all(0 < value <= 100 for value in published.scores.values())
            assert published.source
    if file.paper:
        assert any(experiment.published for experiment in file.experiments)


def test_the_table_holds_every_method_on_features() -> None:
    file = read_experiments(EXPERIMENTS / "frozen-features.toml")
    named = {experiment.method.name for experiment in file.experiments}
    assert set(CLUSTERERS) - named <= {"mmdc"}  # which learns from pixels
    headline = [experiment for experiment in file.experiments if experiment.tuning == "fixed"]
    assert all("inductive" in experiment.protocols for experiment in headline)
    assert all(len(experiment.seeds) >= 5 for experiment in headline)
    settings = {}
    for experiment in headline:  # settings are the same on every set
        assert (
            settings.setdefault(experiment.method.title, dict(experiment.method.changes)) == experiment.method.changes
        )


def test_defaults_are_the_honest_ones(write_file: Write) -> None:
    experiment = write_file(MINIMAL).experiments[0]
    assert experiment.protocols == ("inductive",)
    assert experiment.seeds == (0, 1, 2, 3, 4)
    assert experiment.tuning == "fixed"


def test_floors_and_ceilings_join_every_set(write_file: Write) -> None:
    file = write_file(
        """
        [[matrix]]
        sets = ["digits", "moco50"]
        methods = ["temi", { method = "kmeans", changes = { n_init = 2 } }]
        protocols = ["transductive-all"]
        seeds = [3, 5]
        """
    )
    for dataset in ("digits", "moco50"):
        titles = [experiment.method.title for experiment in file.experiments if experiment.rows.dataset == dataset]
        assert titles == ["temi", "kmeans, n_init=2", *(method.title for method in (*FLOORS, *CEILINGS))]
    assert {experiment.seeds for experiment in file.experiments} == {(3, 5)}
    assert {experiment.protocols for experiment in file.experiments} == {("transductive-all",)}


def test_what_is_asked_for_twice_is_merged(write_file: Write) -> None:
    file = write_file(MINIMAL + 'protocols = ["temi"]\n[[experiment]]\nset = "digits"\nmethod = "temi"\nseeds = [9]\n')
    (experiment,) = file.experiments
    assert experiment.protocols == ("temi", "inductive")
    assert experiment.seeds == (0, 1, 2, 3, 4, 9)


def test_views_belong_to_the_rows_to_fit(write_file: Write) -> None:
    text = MINIMAL.replace("digits", "imagenette") + 'features = "color_histogram"\nn_views = 2\n'
    assert write_file(text).experiments[0].rows.n_views == 2
    with pytest.raises(InvalidValueError, match="leave out n_views"):
        write_file(text + 'protocols = ["mmdc"]\n')


def test_a_grid_is_an_oracle(write_file: Write) -> None:
    grid = MINIMAL + "grid = { beta = [0.6, 0.7], n_heads = [1, 2] }\n"
    with pytest.raises(InvalidValueError, match="oracle"):
        write_file(grid)
    file = write_file(grid + 'tuning = "oracle"\n')
    assert len(file.experiments) == 4
    assert len({experiment.group for experiment in file.experiments}) == 1


def test_sets_of_pictures_need_a_backbone_and_features_have_none(write_file: Write) -> None:
    pictures = MINIMAL.replace("digits", "imagenette")
    with pytest.raises(InvalidValueError, match="name the backbone"):
        write_file(pictures)
    assert write_file(pictures + 'features = "color_histogram"\n').experiments[0].rows.features == ("color_histogram",)
    with pytest.raises(InvalidValueError, match="takes no backbone"):
        write_file(MINIMAL + 'features = "color_histogram"\n')


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('methd = "x"', "Did you mean 'method'"),
        ("changes = { n_headz = 1 }", "no parameter 'n_headz'"),
        ("changes = { random_state = 1 }", "seeds give random_state"),
        ('preset = "papr"', "no preset 'papr'"),
        ("seeds = 0", "seeds = 0"),
        ("seeds = [-1]", "whole numbers"),
        ('protocols = ["best"]', "inductive, transductive-train"),
        ("protocols = []", "protocols is empty"),
        ('tuning = "some"', "fixed, label-free, oracle"),
        ("timeout_s = 0", "above 0"),
        ("n_clusters = 0", "n_clusters is 0"),
        ('variant = "short-tail"', "long-tail-10"),
        ("n_views = 1", "at least 2"),
        ("n_views = 2", "needs images"),
        ("[[experiment.published]]\nscores = { acc = 90 }", "no source, features, protocol"),
        (
            '[[experiment.published]]\nscores = { acc = 190 }\nsource = "s"\nfeatures = "f"\nprotocol = "temi"',
            "at most 100",
        ),
        (
            '[[experiment.published]]\nscores = { accuracy = 90 }\nsource = "s"\nfeatures = "f"\nprotocol = "temi"',
            "acc, nmi",
        ),
        ('[[experiment.published]]\nscores = { acc = 90 }\nsource = "s"\nfeatures = "f"\nprotocol = "x"', "published"),
    ],
)
def test_a_mistake_is_named_with_its_place(write_file: Write, line: str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words) as raised:
        write_file(MINIMAL + line + "\n")
    assert "experiment 1" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "asks for nothing"),
        ("not toml", "cannot be read"),
        ('[[experiment]]\nset = "digits"', "no method"),
        ('[[experiment]]\nset = "dgits"\nmethod = "temi"', "Did you mean 'digits'"),
        ('[[experiment]]\nset = "digits"\nmethod = "tmi"', "Did you mean 'temi'"),
        ('references = ["luck"]\n' + MINIMAL.replace("references = []", ""), "reference 'luck'"),
        ('[[matrix]]\nmethods = "all"', "no sets"),
        ('[[matrix]]\nsets = ["digits"]', "no methods"),
        ('[[matrix]]\nsets = ["digits"]\nmethods = ["temi"]\nexcept = ["scp"]', "belongs to methods"),
    ],
)
def test_a_broken_file_is_refused(write_file: Write, text: str, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        write_file(text)


def test_an_unknown_file_names_those_there_are() -> None:
    with pytest.raises(InvalidValueError, match="quick"):
        find_file("frozen")


def test_each_paper_has_its_own_protocol() -> None:
    assert {"temi", "scp", "cpp", "mmdc"} <= set(PROTOCOLS)
    assert PROTOCOLS["scp"].is_best
    assert PROTOCOLS["cpp"].part == "train-batches"
    assert PROTOCOLS["mmdc"].fit == "all"
    assert next(iter(PROTOCOLS)) == "inductive"


@pytest.fixture
def two_by_two(write_file: Write) -> ExperimentFile:
    return write_file(
        """
        references = []
        [[matrix]]
        sets = ["digits", "moco50"]
        methods = ["temi", { method = "scp", preset = "paper-cifar10" }]
        seeds = [3, 4, 5]
        """
    )


def test_a_part_of_a_file_can_be_asked_for(two_by_two: ExperimentFile) -> None:
    (part,) = narrow_files([two_by_two], only=["digits / *", "* / scp:*"], n_seeds=2)
    assert [e.title for e in part.experiments] == [
        "digits / temi",
        "digits / scp:paper-cifar10",
        "moco50 / scp:paper-cifar10",
    ]
    assert {e.seeds for e in part.experiments} == {(3, 4)}
    assert narrow_files([two_by_two]) == [two_by_two]


def test_a_pattern_that_matches_nothing_is_refused(two_by_two: ExperimentFile) -> None:
    with pytest.raises(InvalidValueError, match=r"No experiment matches 'tem'\. There are: digits / temi; "):
        narrow_files([two_by_two], only=["* / temi", "tem"])
