"""Every operation, what it refuses, and that undoing it brings the arrays back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covey.corrections import ProjectCuration, open_curation
from covey.curation import ASIDE, CONFIRMED, PERSON, RUN, EditError
from covey.errors import ProjectError
from covey.store import Project

from .conftest import arrays_of


@pytest.fixture
def curation(root: Path):
    with Project.open(root) as project:
        yield open_curation(project)


def paths(*numbers: int) -> list[str]:
    return [f"img{number:03d}.png" for number in numbers]


def cluster_of(curation: ProjectCuration, number: int) -> int:
    key = curation._resolver.images(paths(number))
    return int(curation.state.cluster[curation.state.rows_of(key)][0])


def state_of(curation: ProjectCuration, number: int) -> int:
    key = curation._resolver.images(paths(number))
    return int(curation.state.state[curation.state.rows_of(key)][0])


EDITS: dict[str, Callable[[ProjectCuration], object]] = {
    "rename": lambda c: c.rename("dog", "hound"),
    "rename back": lambda c: c.rename(1, ""),
    "merge": lambda c: c.merge("dog", "cat", "boat"),
    "merge with a name": lambda c: c.merge(0, 1, name="pets"),
    "move": lambda c: c.move(paths(0, 4), "cat"),
    "move to new": lambda c: c.move(paths(0, 4), new="wolf"),
    "split": lambda c: c.split("dog"),
    "split by hand": lambda c: c.split("dog", parts=[paths(0, 4), paths(8)], names=["wolf"]),
    "confirm": lambda c: c.confirm(paths(1, 2)),
    "reject": lambda c: c.reject(paths(0)),
    "set aside": lambda c: c.set_aside(paths(3), reason="blurred"),
    "review": lambda c: c.review("flower"),
    "hide": lambda c: c.hide("boat"),
    "group": lambda c: c.group(["dog", "cat"], "Animals"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_undo_brings_all_arrays_back_and_a_redo_the_edit(curation: ProjectCuration, name: str) -> None:
    curation.set_aside(paths(39))  # not the first edit, and one that the undo must leave alone
    before = arrays_of(curation.state)
    EDITS[name](curation)
    after = arrays_of(curation.state)
    assert name == "rename back" or after != before
    curation.undo()
    assert arrays_of(curation.state) == before
    curation.redo()
    assert arrays_of(curation.state) == after


def test_a_name_belongs_to_the_cluster_and_comes_back(curation: ProjectCuration) -> None:
    curation.rename("dog", "  wo\u0065\u0301lf ")
    cluster = curation.state.clusters[0]
    assert (cluster.name, cluster.is_named_by_hand, cluster.facts) == ("wo\u00e9lf", True, {"named"})
    curation.rename(0, "")
    assert (curation.state.clusters[0].name, curation.state.clusters[0].is_named_by_hand) == ("dog", False)


def test_merge_keeps_the_name_given_by_hand_else_that_of_the_largest(curation: ProjectCuration) -> None:
    curation.move(paths(0), "cat")  # cat is the largest now
    curation.merge("boat", "cat")
    assert curation.state.clusters[3].name == "cat"
    assert curation.state.clusters[1].merged_into == 3
    curation.rename("flower", "rose")
    curation.merge("dog", "rose")
    assert curation.state.clusters[0].name == "rose"
    with pytest.raises(EditError, match="merged into 3") as caught:
        curation.move(paths(2), 1)
    assert (caught.value.code, caught.value.allowed) == ("retired", 3)


def test_ids_are_never_used_twice_even_if_undone(curation: ProjectCuration) -> None:
    curation.move(paths(0), new="one")
    curation.undo()
    curation.move(paths(4), new="two")
    assert sorted(curation.state.clusters) == [0, 1, 2, 3, 5]


def test_moved_images_are_pinned_and_counted_once(curation: ProjectCuration) -> None:
    report = curation.move(paths(0, 1, 5), "cat")
    assert (report.n_images, report.n_unchanged) == (1, 2)
    assert (cluster_of(curation, 0), state_of(curation, 0), state_of(curation, 1)) == (1, PERSON, RUN)


def test_reject_goes_to_the_nearest_that_was_not_rejected_and_last_aside(curation: ProjectCuration) -> None:
    seen = [cluster_of(curation, 0)]
    for _ in range(3):
        curation.reject(paths(0))
        seen.append(cluster_of(curation, 0))
    assert sorted(seen) == [0, 1, 2, 3]
    curation.reject(paths(0))
    assert (cluster_of(curation, 0), state_of(curation, 0)) == (-1, ASIDE)
    curation.move(paths(0), "dog")  # a hand may do what it said before was wrong
    assert len(curation.state.rejects) == 3


def test_rejects_follow_a_merge_unless_the_image_is_in_it(curation: ProjectCuration) -> None:
    curation.reject(paths(0))
    other = cluster_of(curation, 0)
    third = next(number for number in (1, 2, 3) if number != other)
    curation.merge(third, 0)
    assert curation.state.rejects[:, 1].tolist() == [third]
    curation.merge(other, third)
    assert len(curation.state.rejects) == 0


def test_split_by_features_finds_two_groups_that_were_one(curation: ProjectCuration) -> None:
    curation.merge("dog", "cat")
    curation.split(0, names=["second"])
    sizes, clusters = curation.state.sizes(), curation.state.clusters
    assert (sizes[0], sizes[4], clusters[4].name, clusters[4].born_of) == (10, 10, "second", 0)
    groups = {cluster_of(curation, number) for number in range(0, 40, 4)}
    assert len(groups) == 1, "the ten images of one group are together again"


def test_review_confirms_what_is_there_and_tells_what_came_later(curation: ProjectCuration) -> None:
    curation.review("cat")
    assert state_of(curation, 1) == CONFIRMED
    assert curation.corrected().mark(1) == "reviewed"
    curation.reject(paths(0))
    arrived = cluster_of(curation, 0)
    curation.review(arrived)
    curation.reject(paths(4))
    later = cluster_of(curation, 4)
    if later == arrived:
        assert curation.corrected().mark(arrived) == "reviewed, 1 new"
    curation.review("cat", value=False)
    assert curation.corrected().mark(1) == ""


def test_groups_vanish_with_their_last_cluster(curation: ProjectCuration) -> None:
    curation.group(["dog", "cat"], "Animals")
    curation.group(["flower"], "ANIMALS")
    assert dict(curation.state.groups) == {0: "Animals"}
    curation.rename_group("animals", "Living")
    curation.group([0, 1, 2], None)
    assert dict(curation.state.groups) == {}
    curation.group(["dog"], "Again")
    assert dict(curation.state.groups) == {1: "Again"}, "no number of a group is used twice"


REFUSED: dict[str, tuple[Callable[[ProjectCuration], object], str, str]] = {
    "empty name": (lambda c: c.move(paths(0), new="  "), "bad_request", "is empty"),
    "long name": (lambda c: c.rename(0, "x" * 121), "bad_request", "has 121 characters; 120 are allowed"),
    "NUL in a name": (lambda c: c.rename(0, "a\0b"), "bad_request", r"U\+0000"),
    "direction in a name": (lambda c: c.rename(0, "a\u202eb"), "bad_request", r"U\+202E"),
    "half a character": (lambda c: c.rename(0, "a\ud800"), "bad_request", r"U\+D800"),
    "name in other case": (lambda c: c.rename(0, "CAT"), "name_taken", "Cluster 1 has the name 'cat' already"),
    "unknown cluster": (lambda c: c.rename(9, "x"), "unknown", "There is no cluster 9"),
    "near name": (lambda c: c.rename("dgo", "x"), "unknown", "Did you mean 'dog'"),
    "merge with itself": (lambda c: c.merge(0, 0), "bad_request", "merged with itself"),
    "merge twice the same": (lambda c: c.merge(0, 1, 1), "bad_request", "merged with itself"),
    "move nothing": (lambda c: c.move([], 1), "bad_request", "No image was named"),
    "move nowhere": (lambda c: c.move(paths(0)), "bad_request", "Say where"),
    "move to two places": (lambda c: c.move(paths(0), 1, new="x"), "bad_request", "Say where"),
    "move all that are there": (lambda c: c.move(paths(1, 5), 1), "bad_request", "already"),
    "move unknown": (lambda c: c.move(["gone.png"], 1), "unknown", "1 of 1 images are not in the project: gone.png"),
    "unknown id": (lambda c: c.move(["0" * 64], 1), "unknown", "not in the project"),
    "one part": (lambda c: c.split(0, n_parts=1), "bad_request", "1 parts of 10"),
    "more parts than images": (lambda c: c.split(0, n_parts=11), "bad_request", "11 parts of 10"),
    "nothing left": (lambda c: c.split(0, parts=[paths(*range(0, 40, 4))]), "bad_request", "is empty"),
    "part of others": (lambda c: c.split(0, parts=[paths(1)]), "changed", "not in dog"),
    "image in two parts": (lambda c: c.split(0, parts=[paths(0), paths(0)]), "bad_request", "in two parts"),
    "reject from elsewhere": (lambda c: c.reject(paths(0), "cat"), "bad_request", "not in cat"),
    "reject from two": (lambda c: c.reject(paths(0, 1)), "bad_request", "say from which"),
    "hide twice": (lambda c: (c.hide(0), c.hide(0)), "bad_request", "hidden already"),
    "merge a hidden one": (lambda c: (c.hide(0), c.merge(1, 0)), "bad_request", "show it again"),
    "empty group": (lambda c: c.group([], "x"), "bad_request", "No cluster"),
    "unknown group": (lambda c: c.rename_group("x", "y"), "unknown", "no group"),
    "nothing to undo": (lambda c: c.undo(), "bad_request", "nothing to undo"),
    "nothing to redo": (lambda c: c.redo(), "bad_request", "nothing to redo"),
    "undo of the future": (lambda c: c.undo(99), "unknown", "no edit 99"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_is_refused_with_a_sentence_and_leaves_nothing(
    curation: ProjectCuration, root: Path, name: str
) -> None:
    act, code, words = REFUSED[name]
    with pytest.raises(EditError, match=words) as caught:
        act(curation)
    assert caught.value.code == code
    is_second = name in ("hide twice", "merge a hidden one")
    with Project.open(root) as project:
        assert len(open_curation(project).edits) == (2 if is_second else 0)


def test_images_are_found_by_path_on_disk_and_by_the_start_of_their_id(
    curation: ProjectCuration, tmp_path: Path
) -> None:
    on_disk = tmp_path / "pictures" / "img000.png"
    key = curation._resolver.images(paths(0)).tolist()
    assert curation._resolver.images([on_disk]).tolist() == key
    image_id = curation._ids[int(np.searchsorted(curation.state.images, key[0]))]
    assert curation._resolver.images([image_id[:10].upper()]).tolist() == key


def test_undo_in_the_middle_says_what_depends_on_it(curation: ProjectCuration) -> None:
    made = curation.move(paths(0, 4), new="wolf").seq
    curation.rename("cat", "lion")
    moved = curation.move(paths(1), "wolf").seq
    with pytest.raises(EditError, match=f"{moved} moved 1 image") as caught:
        curation.undo(made)
    assert caught.value.allowed == [moved]
    curation.undo(made, also=None)
    assert {cluster.name for cluster in curation.state.alive} == {"dog", "lion", "flower", "boat"}
    assert curation.stranded == ()
    curation.redo(made)
    assert cluster_of(curation, 1) == 4
    curation.undo(moved)
    with pytest.raises(EditError, match="undone already"):
        curation.undo(moved)


def test_a_redo_that_makes_no_sense_any_more_is_refused(curation: ProjectCuration) -> None:
    curation.rename("dog", "wolf")
    curation.undo()
    curation.rename("cat", "wolf")
    with pytest.raises(EditError, match="Edit 2 does not go with: 4 named 1"):
        curation.redo()


def test_names_of_a_run_that_change_later_take_no_edit_away(curation: ProjectCuration, root: Path) -> None:
    from covey.types import ClusterName

    curation.rename("dog", "wolf")
    with Project.open(root) as project, project.lock():
        project.write_names(1, [ClusterName(1, "wolf", 0.9)], naming={})
    with Project.open(root) as project:
        again = open_curation(project)
        assert again.stranded == ()
        assert [again.state.clusters[number].name for number in (0, 1)] == ["wolf", "wolf"]


def test_an_edit_can_be_made_while_a_run_holds_the_lock(root: Path) -> None:
    with Project.open(root) as project, project.lock(), Project.open(root) as other:
        assert open_curation(other).rename(0, "wolf").is_new


def test_what_a_newer_covey_wrote_is_read_and_not_edited(curation: ProjectCuration, root: Path) -> None:
    curation.rename(0, "wolf")
    with Project.open(root) as project:
        from covey.store import Journal

        journal = Journal(project)
        with journal.writing():
            journal.append("teleport", {"where": "Mars"}, uuid="x", author="person")
    with Project.open(root) as project:
        again = open_curation(project)
        assert again.state.clusters[0].name == "wolf"
        with pytest.raises(ProjectError, match="newer covey"):
            again.rename(1, "lion")


def test_results_without_features_can_still_be_edited(root: Path) -> None:
    import shutil

    shutil.rmtree(root / "features")
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.merge(0, 1)
        curation.reject(paths(2))
        with pytest.raises(EditError) as caught:
            curation.split(0)
        assert caught.value.code == "no_features"
        corrected = curation.corrected()
        merged = next(summary for summary in corrected.summaries if summary.label == 0)
        assert merged.size >= 20
        assert np.isnan(merged.cohesion)
