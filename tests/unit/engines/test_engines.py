"""Running shards here, and in an engine that somebody else registers."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from covey.engines import ENGINES, run_shards
from covey.errors import InvalidValueError, UnknownNameError


def square(n: int) -> int:
    return n * n


def fail_at_three(n: int) -> int:
    if n == 3:
        raise ValueError("three is odd")
    return n


def test_there_are_engines() -> None:
    assert list(ENGINES) == ["inline"]


def test_every_shard_is_run_once() -> None:
    assert list(run_shards(square, range(7), n_workers=2)) == [n * n for n in range(7)]


def test_no_shards_is_no_work() -> None:
    assert list(run_shards(str, [])) == []


def test_an_error_keeps_its_kind_and_names_the_shard() -> None:
    with pytest.raises(ValueError, match="three is odd") as caught:
        list(run_shards(fail_at_three, [1, 2, 3], n_workers=1))
    assert "in 3" in caught.value.__notes__


def test_shards_are_taken_only_when_a_worker_is_free() -> None:
    taken = []

    def shards() -> Iterator[int]:
        for n in range(100):
            taken.append(n)
            yield n

    results = run_shards(str, shards())
    assert next(results) == "0"
    assert len(taken) <= 2


def test_wrong_words_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'inline'"):
        run_shards(str, [1], engine="inlin")
    with pytest.raises(UnknownNameError, match="Unknown engine 'pool'"):
        run_shards(str, [1], engine="pool")
    with pytest.raises(InvalidValueError, match="n_workers is 0"):
        run_shards(str, [1], n_workers=0)


def test_a_registered_engine_gets_the_function_the_shards_and_the_number_of_workers() -> None:
    seen: list[Any] = []

    def backwards(function: Callable[[int], int], shards: Iterable[int], *, n_workers: int | None) -> Iterator[int]:
        seen.append(n_workers)
        return map(function, reversed(list(shards)))

    with ENGINES.register("backwards", backwards):
        assert list(run_shards(square, range(4), engine="backwards", n_workers=3)) == [9, 4, 1, 0]
    assert seen == [3]
    assert "backwards" not in ENGINES
