"""Random edits: undoing all gives the run back, and no edit that was acknowledged is lost by a kill."""

import json
import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covey.corrections import ProjectCuration, open_curation
from covey.curation import EditError
from covey.store import Journal, Project

from .conftest import arrays_of, lines_of

OPS = (
    "rename",
    "merge",
    "move",
    "new",
    "split",
    "confirm",
    "reject",
    "aside",
    "review",
    "hide",
    "group",
    "undo",
    "redo",
)


def random_edit(curation: ProjectCuration, op: str, draw: random.Random) -> None:
    """Try an edit of a kind; one that makes no sense is refused."""
    alive = [cluster.id for cluster in curation.state.alive]
    images = [f"img{number:03d}.png" for number in draw.sample(range(40), draw.randint(1, 6))]
    cluster, other = draw.choice(alive), draw.choice(alive)
    act = {
        "rename": lambda: curation.rename(cluster, draw.choice(["", "wolf", "lion", "rose", "ship"])),
        "merge": lambda: curation.merge(cluster, other),
        "move": lambda: curation.move(images, cluster),
        "new": lambda: curation.move(images, new=f"new {draw.randint(0, 99)}"),
        "split": lambda: curation.split(cluster, parts=[curation._ids_of_members(cluster)[: draw.randint(1, 4)]]),
        "confirm": lambda: curation.confirm(images),
        "reject": lambda: curation.reject(images[:1]),
        "aside": lambda: curation.set_aside(images),
        "review": lambda: curation.review(cluster, value=draw.random() < 0.8),
        "hide": lambda: curation.hide(cluster, value=draw.random() < 0.6),
        "group": lambda: curation.group([cluster, other], draw.choice(["A", "B", None])),
        "undo": lambda: curation.undo(draw.choice([None, *(edit.seq for edit in curation.edits)]), also=None),
        "redo": lambda: curation.redo(also=None),
    }
    act[op]()


class Curation(ProjectCuration):
    """Lets a test name the members of a cluster."""

    def _ids_of_members(self, cluster: int) -> list[str]:
        return [self._ids[row] for row in self.state.members(cluster).tolist()]


def check(curation: ProjectCuration) -> None:
    """Hold what is true of every state."""
    state = curation.state
    alive = {cluster.id for cluster in state.alive}
    assert set(np.unique(state.cluster).tolist()) <= alive | {-1}
    assert sum(state.sizes().values()) + int((state.cluster == -1).sum()) == len(state.images)
    assert {cluster.group for cluster in state.alive} - {None} == set(state.groups)
    names = [cluster.name.casefold() for cluster in state.alive if cluster.is_named_by_hand]
    assert len(names) == len(set(names))
    assert curation.stranded == ()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(OPS), min_size=1, max_size=25), st.integers(0, 2**32))
def test_undoing_all_gives_the_run_back_array_for_array(
    root: Path, tmp_path_factory: pytest.TempPathFactory, ops: list[str], seed: int
) -> None:
    copy = tmp_path_factory.mktemp("copy") / "trip.covey"
    shutil.copytree(root, copy)
    draw = random.Random(seed)  # noqa: S311  for edits, not for secrets
    with Project.open(copy) as project:
        curation = Curation(project, author="person")
        base = arrays_of(curation.state)
        for op in ops:
            with suppress(EditError):
                random_edit(curation, op, draw)
                check(curation)
        fresh = arrays_of(Curation(project, author="person").state)
        assert fresh == arrays_of(curation.state), "the journal alone gives the same state"
        with suppress(EditError):
            while True:
                curation.undo(also=None)
        assert arrays_of(curation.state) == base


WORKER = """
import sys, random
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from covey.curation import EditError
from covey.store import Project
from curation.test_random_edits import OPS, Curation, random_edit
draw = random.Random(int(sys.argv[2]))
with Project.open(Path(sys.argv[1])) as project:
    curation = Curation(project, author="person")
    for _ in range(500):
        try:
            random_edit(curation, draw.choice(OPS), draw)
        except EditError:
            continue
        edit = curation.edits[-1]
        print(edit.seq, edit.uuid, len(edit.images), flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_kill_between_any_two_edits_loses_none_and_leaves_none_half(root: Path, tmp_path: Path) -> None:
    """Killed without warning ten times in 500 random edits: all that was acknowledged is there, whole."""
    draw = random.Random(0)  # noqa: S311  for edits, not for secrets
    told: dict[int, tuple[str, int]] = {}
    for attempt in range(10):
        script = [sys.executable, "-c", WORKER, str(root), str(attempt), str(Path(__file__).parents[1])]
        with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(draw.randint(5, 60)):
                line = process.stdout.readline().split()
                if not line:
                    break
                told[int(line[0])] = (line[1], int(line[2]))
            process.send_signal(signal.SIGKILL)
            for line in process.stdout.read().splitlines():  # what was said before the kill came
                if len(words := line.split()) == 3:
                    told[int(words[0])] = (words[1], int(words[2]))
        with Project.open(root) as project:
            known = {edit.seq: (edit.uuid, len(edit.images)) for edit in Journal(project).read()}
            assert told.items() <= known.items()
            check(open_curation(project))
    assert len(told) > 100
    with Project.open(root) as project:
        curation = open_curation(project)
        curation.rename(curation.state.alive[0].id, "the last")
        assert [line["seq"] for line in lines_of(root / "edits.jsonl")] == [edit.seq for edit in curation.edits]
        json.dumps(arrays_of(curation.state)["cluster"])
