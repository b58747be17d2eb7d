"""Whatever happens to a collection between scans, each path that was found stands in the ledger exactly once."""

import hashlib
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from covey.store import Ledger, Project
from covey.types import ImageFailure, ImageFile, ImageRecord

NAMES = st.sampled_from([f"{folder}/{number}.png" for folder in ("a", "b") for number in range(6)])
CONTENTS = st.integers(0, 4)
BROKEN = ("ERROR_CORRUPT_IMAGE", "ERROR_ZERO_SIZE_FILE", "ERROR_PERMISSION")


class Collection(RuleBasedStateMachine):
    """A folder of files that change, and a model of what its project should know.

    A file is a number, the image it holds, or a string, the code with which it fails at the scan. An image number in
    `undecodable` passes the scan and fails at extraction.
    """

    @initialize()
    def start(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.root = Path(self._folder.name, "pics")
        for folder in ("a", "b"):
            (self.root / folder).mkdir(parents=True)
        self.project = Project.open(Path(self._folder.name, "p.covey"), create=True)
        self.files: dict[str, int | str] = {}
        self.known: dict[str, int | str] = {}
        self.failed: set[int] = set()
        self.undecodable: set[int] = set()
        self.seen: set[int] = set()

    def teardown(self) -> None:
        if hasattr(self, "project"):
            self.project.close()
            self._folder.cleanup()

    @rule(name=NAMES, content=st.one_of(CONTENTS, st.sampled_from(BROKEN)))
    def appear_or_change(self, name: str, content: int | str) -> None:
        self.files[name] = content
        (self.root / name).touch()

    @rule(name=NAMES)
    def vanish(self, name: str) -> None:
        self.files.pop(name, None)
        (self.root / name).unlink(missing_ok=True)

    @rule(content=CONTENTS)
    def break_or_mend_decoding(self, content: int) -> None:
        self.undecodable ^= {content}

    @rule(source=st.sampled_from(["", "a", "b"]), extract=st.booleans(), names_sources=st.booleans())
    def run(self, source: str, extract: bool, names_sources: bool) -> None:
        """Scan all or one folder, and then extract, or be stopped before."""
        found = {name: content for name, content in self.files.items() if name.startswith(source)}
        self._record(found, self.root / source, names_sources=names_sources)
        outside = {name: content for name, content in self.known.items() if not name.startswith(source)}
        self.known = found | {name: content for name, content in outside.items() if name in self.files}
        self.failed = set()
        if extract:
            self._extract()

    def _record(self, found: dict[str, int | str], folder: Path, *, names_sources: bool) -> None:
        records: dict[str, ImageRecord] = {}
        files, failures = [], []
        for name, content in found.items():
            path = self.root / name
            if isinstance(content, str):
                failures.append(ImageFailure(path, content, "broken"))
                continue
            image_id = hashlib.sha256(bytes([content])).hexdigest()
            records.setdefault(image_id, ImageRecord(image_id, path, 2, 1))
            files.append(ImageFile(path, image_id, 1, 1))
        sources = [folder] if names_sources else []
        self.seen |= {content for content in found.values() if isinstance(content, int)}
        self.project.record_scan(records.values(), files, failures, folder, sources=sources)

    def _extract(self) -> None:
        failures = []
        for record in self.project.records():
            content = self.known[record.path.relative_to(self.root).as_posix()]
            if content in self.undecodable:
                failures.append(ImageFailure(record.path, "ERROR_CORRUPT_IMAGE", "undecodable", 1, record.id))
        self.project.record_failures(failures)
        self.failed = self.undecodable & set(self.known.values())

    @invariant()
    def each_path_stands_in_the_ledger_once(self) -> None:
        ledger = self.project.ledger()
        assert ledger.n_found == ledger.n_embedded + ledger.n_duplicates + sum(ledger.failures.values())
        good = [content for content in self.known.values() if isinstance(content, int) and content not in self.failed]
        bad = [content for content in self.known.values() if isinstance(content, str)]
        bad += ["ERROR_CORRUPT_IMAGE"] * sum(content in self.failed for content in self.known.values())
        expected = Ledger(len(self.known), len(set(good)), len(good) - len(set(good)), dict(Counter(bad)))
        assert replace(ledger, n_missing=0) == expected
        present = {content for content in self.known.values() if isinstance(content, int)}
        assert 0 <= ledger.n_missing <= len(self.seen - present)

    @invariant()
    def the_lists_agree_with_the_ledger(self) -> None:
        ledger = self.project.ledger()
        records, paths, failures = self.project.records(), self.project.paths(), self.project.failures()
        assert [record.id for record in records] == list(dict.fromkeys(record.id for record in records))
        assert {record.id for record in records} == paths.keys()
        assert len(records) == ledger.n_embedded
        assert sum(map(len, paths.values())) == ledger.n_embedded + ledger.n_duplicates
        assert Counter(failure.code for failure in failures) == ledger.failures
        everything = [self.project.image_root / path for group in paths.values() for path in group]
        everything += [failure.path for failure in failures]
        assert sorted(everything) == sorted(self.root / name for name in self.known)
        assert all(self.project.path_of(record.id) == record.path for record in records)


Collection.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestLedger = Collection.TestCase
