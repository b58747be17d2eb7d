"""A new run in a project with corrections: ids go on, facts stay or are listed, and it can be undone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from covey.corrections import adopt_run, open_curation
from covey.curation import PERSON, EditError
from covey.errors import InvalidValueError
from covey.store import Project
from covey.types import Features, ImageFile, ImageRecord

from .conftest import FINGERPRINT, N_GROUPS, N_IMAGES, add_run, arrays_of, features_of

GROUPS = np.arange(N_IMAGES) % N_GROUPS


def kinds(report) -> dict[int, str]:
    return {row.cluster: row.kind for row in report.rows}


def test_a_project_without_corrections_has_nothing_to_adopt_into(root: Path, features: Features) -> None:
    with Project.open(root) as project:
        assert adopt_run(project, add_run(project, features, GROUPS)) is None


def test_permuted_labels_are_all_the_same_clusters(root: Path, features: Features) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename("dog", "wolf")
        curation.move(["img000.png"], "cat")
        before = {cluster.id: cluster.title for cluster in curation.state.alive}
        placed = curation.state.cluster.tolist()
        run = add_run(project, features, np.array([2, 0, 3, 1])[GROUPS], {0: "cat", 1: "boat", 2: "x", 3: "flower"})
        report = adopt_run(project, run)
        assert (report.counts, report.conflicts) == ({"same": 4}, ())
        curation.refresh()
        assert {cluster.id: cluster.title for cluster in curation.state.alive} == before
        assert curation.state.cluster.tolist() == placed
        curation.undo()
        assert curation.state.base == 1
        assert curation.state.cluster.tolist() == placed


def test_the_same_run_with_new_images_is_adopted_without_asking(root: Path, tmp_path: Path, features: Features) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.review("dog")
        curation.move(["img001.png"], "dog")
        records, files = [], []
        for i in range(4):
            path = tmp_path / "pictures" / f"new{i}.png"
            path.write_bytes(f"new {i}".encode())
            import hashlib

            image_id = hashlib.sha256(path.read_bytes()).hexdigest()
            records.append(ImageRecord(image_id, path, 8, 8))
            files.append(ImageFile(path, image_id, 5, path.stat().st_mtime_ns))
        known = [ImageFile(p, f.id, f.n_bytes, f.mtime_ns) for p, f in project.known_files().items()]
        project.record_scan(records, [*known, *files], [], tmp_path / "pictures", sources=[tmp_path / "pictures"])
        curation.refresh()
        assert (curation.state.state == 5).sum() == 4, "they wait, in no cluster"
        added = features_of(tuple(record.id for record in records), np.arange(4))
        project.features.write_shard(FINGERPRINT, 1, added.ids, added.X)
        both = Features((*features.ids, *added.ids), np.vstack([features.X, added.X]), FINGERPRINT)
        report = adopt_run(project, add_run(project, both, np.concatenate([GROUPS, np.arange(4)])))
        assert report.seq is not None
        assert report.conflicts == ()
        curation.refresh()
        assert (curation.state.state == 5).sum() == 0
        assert curation.corrected().mark(0) == "reviewed, 1 new"


@pytest.mark.parametrize("n_clusters", [2, 8])
def test_every_fact_stays_or_is_listed_with_another_number_of_clusters(
    root: Path, features: Features, n_clusters: int
) -> None:
    rng = np.random.default_rng(0)
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename("dog", "wolf")
        curation.merge("cat", "boat", name="sea cat")
        curation.split("flower", names=["rose"])
        for number in rng.choice(N_IMAGES, 15, replace=False):
            target = rng.choice([cluster.id for cluster in curation.state.alive])
            try:
                curation.move([f"img{number:03d}.png"], int(target))
            except EditError:
                continue
        before = arrays_of(curation.state)
        state = curation.state
        pinned = {
            int(image): int(cluster)
            for image, cluster in zip(state.images[state.is_pinned], state.cluster[state.is_pinned], strict=True)
        }
        names = {cluster.name: cluster.id for cluster in state.alive if cluster.is_named_by_hand}
        labels = GROUPS % 2 if n_clusters == 2 else GROUPS * 2 + (np.arange(N_IMAGES) >= 20)
        report = adopt_run(project, add_run(project, features, labels), "mine")
        curation.refresh()
        state = curation.state
        assert {image: int(state.cluster[state.rows_of(np.array([image]))][0]) for image in pinned} == pinned
        kept = {cluster.name: cluster.id for cluster in state.alive if cluster.is_named_by_hand}
        listed = {conflict.cluster for conflict in report.conflicts}
        assert all(kept.get(name) == number or number in listed for name, number in names.items())
        assert names.items() <= kept.items(), "by the default, what a hand made is kept"
        fresh = set(state.clusters) - set(before["clusters"])
        assert not fresh & set(before["clusters"])
        assert curation.stranded == ()
        curation.undo()
        assert arrays_of(curation.state) == before


def test_a_conflict_changes_nothing_until_it_is_decided(root: Path, features: Features) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename("dog", "wolf")
        labels = np.arange(N_IMAGES) // 4 % 5  # nothing goes on
        run = add_run(project, features, labels)
        report = adopt_run(project, run)
        assert report.seq is None
        assert [conflict.kind for conflict in report.conflicts] == ["named_gone"]
        assert adopt_run(project, run, "never").seq is None
        assert adopt_run(project, run, "mine", dry_run=True).seq is None
        curation.refresh()
        assert curation.state.base == 1
        adopt_run(project, run, "run")
        curation.refresh()
        assert curation.state.base == run
        assert "wolf" not in {cluster.name for cluster in curation.state.alive}
        curation.undo()
        adopt_run(project, run, "mine")
        curation.refresh()
        assert (curation.state.cluster == 0).sum() == 10, "wolf is kept with its images"


def test_a_merge_is_not_undone_by_a_finer_run(root: Path, features: Features) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.merge("dog", "cat")
        report = adopt_run(project, add_run(project, features, GROUPS))
        assert report.conflicts == ()
        assert (
            sorted(row.kind for row in report.rows) == ["absorbed", "same", "same", "same"] or report.counts["absorbed"]
        )
        curation.refresh()
        assert curation.state.sizes()[0] == 20


def test_the_border_of_a_split_stays_in_a_coarser_run(root: Path, features: Features) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.split("dog", parts=[[f"img{i:03d}.png" for i in (0, 4, 8)]])
        placed = curation.state.cluster.tolist()
        report = adopt_run(project, add_run(project, features, GROUPS))
        assert report.conflicts == ()
        curation.refresh()
        assert curation.state.cluster.tolist() == placed


def test_confirmed_images_that_the_run_moves_are_a_conflict(root: Path, features: Features) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.confirm(["img000.png", "img004.png"])
        labels = GROUPS.copy()
        labels[[0, 4]] = 1
        run = add_run(project, features, labels)
        report = adopt_run(project, run)
        assert [conflict.kind for conflict in report.conflicts] == ["pin_disagrees"]
        adopt_run(project, run, "run")
        curation.refresh()
        assert curation.state.cluster[[0, 4]].tolist() == [1, 1]


def test_a_hand_placed_image_whose_bytes_changed_is_known_by_its_path(
    root: Path, tmp_path: Path, features: Features
) -> None:
    import hashlib

    with Project.open(root) as project:
        curation = open_curation(project)
        curation.move(["img000.png"], "boat")
        path = tmp_path / "pictures" / "img000.png"
        path.write_bytes(b"retouched")
        image_id = hashlib.sha256(b"retouched").hexdigest()
        files = [f for p, f in project.known_files().items() if p != path]
        record = ImageRecord(image_id, path, 8, 8)
        project.record_scan([record], [*files, ImageFile(path, image_id, 9, 1)], [], path.parent, sources=[path.parent])
        ids = (image_id, *features.ids[1:])
        project.features.write_shard(FINGERPRINT, 1, [image_id], features.X[:1])
        report = adopt_run(project, add_run(project, Features(ids, features.X, FINGERPRINT), GROUPS))
        assert report.seq is not None
        curation.refresh()
        key = curation._resolver.images(["img000.png"])
        row = curation.state.rows_of(key)[0]
        assert (curation.state.cluster[row], curation.state.state[row]) == (3, PERSON)


def test_a_rejected_image_does_not_come_back(root: Path, features: Features) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.reject(["img000.png"])
        adopt_run(project, add_run(project, features, GROUPS))
        curation.refresh()
        assert curation.state.cluster[0] != 0


def test_edits_before_an_adoption_are_undone_only_after_it(root: Path, features: Features) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        named = curation.rename("dog", "wolf").seq
        adopt_run(project, add_run(project, features, GROUPS))
        with pytest.raises(EditError, match="before another run was adopted"):
            curation.undo(named)
        curation.undo()
        curation.undo(named)


def test_what_cannot_be_adopted_says_so(root: Path, features: Features) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename("dog", "wolf")
        with pytest.raises(InvalidValueError, match="start from already"):
            adopt_run(project, 1)
        with pytest.raises(InvalidValueError, match="must be one of"):
            adopt_run(project, 1, "perhaps")
        plan = curation.plan(add_run(project, features, GROUPS))
        curation.rename("cat", "lion")
        with pytest.raises(EditError, match="plan again"):
            curation.adopt(plan)


def test_a_run_of_one_cluster_and_of_one_image(
    root: Path, copy_of: Callable[[Path, str], Path], features: Features
) -> None:
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename("dog", "wolf")
        one = Features(features.ids[:1], features.X[:1], FINGERPRINT)
        for run in (add_run(project, features, GROUPS * 0), add_run(project, one, [0])):
            adopt_run(project, run, "mine")
            curation.refresh()
            assert (curation.state.cluster[curation.state.cluster == 0]).size == 10, "kept"
            assert curation.stranded == ()
