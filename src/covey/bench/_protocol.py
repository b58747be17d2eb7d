"""Protocols: which rows are fitted, which are scored, and what a paper makes of its runs. They are never mixed."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

BATCH_ROWS: Final = 1024
"""Rows of a batch where batches are scored one by one: CPP's batch size on most sets (table 8d)."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One way from a method and a data set to a number.

    Attributes
    ----------
    name : str
        What experiments and tables call it.
    fit : {"train", "all"}
        Rows that the method sees.
    part : {"test", "train", "train-batches", "all"}
        Rows that are scored; ``"train-batches"`` scores each batch of the fitted rows by itself, each with its own
        matching, and averages.
    is_best : bool
        Whether its number is the best run's; otherwise it is the mean.
    n_runs : int or None
        Runs behind a published number, None where it is not a paper's.
    what : str
        In words, with the source.
    """

    name: str
    fit: str
    part: str
    is_best: bool
    n_runs: int | None
    what: str


def _rows(*protocols: Protocol) -> Mapping[str, Protocol]:
    return MappingProxyType({protocol.name: protocol for protocol in protocols})


PROTOCOLS: Final = _rows(
    Protocol(
        "inductive",
        "train",
        "test",
        False,
        None,
        "fitted on the rows to fit, scored on others that were never seen; the mean of all seeds. The headline.",
    ),
    Protocol(
        "transductive-train",
        "train",
        "train",
        False,
        None,
        "fitted and scored on the rows to fit; the mean of all seeds.",
    ),
    Protocol(
        "transductive-all",
        "all",
        "all",
        False,
        None,
        "fitted and scored on all rows, those to score included; the mean of all seeds.",
    ),
    Protocol(
        "temi",
        "train",
        "test",
        False,
        3,
        "TEMI's paper (arXiv:2303.17896, section 4.1): fitted on train, scored on validation at the end of training, "
        "the mean of 3 seeds. Its evaluation script takes the largest accuracy over saved checkpoints instead.",
    ),
    Protocol(
        "scp",
        "train",
        "test",
        True,
        50,
        "SCP's paper (arXiv:2502.04226, section 4.2.1): fitted on train, scored on test, the best of 50 runs.",
    ),
    Protocol(
        "cpp",
        "train",
        "train-batches",
        False,
        None,
        "CPP's code (cb39bdc; the paper, arXiv:2306.05272, does not say): scored on training batches, each matched by "
        f"itself. Here: the mean over batches of {BATCH_ROWS:,} fitted rows.",
    ),
    Protocol(
        "mmdc",
        "all",
        "all",
        False,
        5,
        "MMDC's paper (table I): fitted and scored on train and test together; mean, standard error, best of 5 runs.",
    ),
    Protocol(
        "scan",
        "train",
        "test",
        False,
        10,
        "SCAN's paper (arXiv:2005.12320): fitted on train, scored on test, the mean of 10 runs; its code stops where "
        "the loss on the test images is lowest.",
    ),
)
"""Protocols by name: the honest three first, then the papers' own."""

HEADLINE: Final = "inductive"
