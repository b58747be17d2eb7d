"""The criteria for a number of clusters, one row each: what it is called, what it means and whether it votes."""

from dataclasses import dataclass
from typing import Final

from covey.registry import Registry


@dataclass(frozen=True, slots=True)
class CriterionSpec:
    """What must be known of a criterion to offer, draw and explain it. A larger score is better for all of them.

    Attributes
    ----------
    name : str
        What people type.
    target : str
        Its function, ``"module:attribute"``.
    title : str
        What texts and drawings call it.
    short : str
        The head of its column in a table that must fit a terminal.
    meaning : str
        What its score tells a person.
    votes : bool
        Whether it is one of those whose votes ``consensus`` counts.
    """

    name: str
    target: str
    title: str = ""
    short: str = ""
    meaning: str = ""
    votes: bool = False


_ROWS: Final = (
    CriterionSpec(
        "consensus",
        "covey.selection._consensus:consensus",
        "consensus",
        "consensus",
        "how central a number is among the votes of five criteria: the median of all votes has the most",
    ),
    CriterionSpec(
        "silhouette",
        "covey.selection._criteria:silhouette",
        "silhouette",
        "silh.",
        "how clearly the groups are separated: 1 would be perfectly, 0 means that they touch",
        votes=True,
    ),
    CriterionSpec(
        "stability",
        "covey.selection._criteria:stability",
        "stability",
        "stab.",
        "how surely the same groups come back when a fifth of the pictures is left out: 1 is every time",
        votes=True,
    ),
    CriterionSpec(
        "coding_length",
        "covey.selection._criteria:coding_length_score",
        "coding length",
        "coding",
        "how short the features and the groups can be written down, in nats a picture, below zero",
        votes=True,
    ),
    CriterionSpec(
        "held_out_coding_length",
        "covey.selection._criteria:held_out_coding_length",
        "held-out coding length",
        "held out",
        "the same for pictures that the groups have not seen, which punishes learning by heart",
        votes=True,
    ),
    CriterionSpec(
        "eigengap",
        "covey.selection._criteria:eigengap",
        "eigengap",
        "eigengap",
        "how suddenly the graph of nearest neighbors falls apart behind this number of parts",
        votes=True,
    ),
    CriterionSpec(
        "silhouette_stability",
        "covey.selection._criteria:silhouette_stability",
        "silhouette \N{MULTIPLICATION SIGN} stability",
        "silh. x stab.",
        "silhouette and stability at once, one multiplied by the other",
    ),
)

VOTERS: Final = tuple(row.name for row in _ROWS if row.votes)
"""Each looks at something else: distances, repetition, description, prediction, connection."""

CRITERIA = Registry("criterion", "covey.criteria", _ROWS, default_spec=CriterionSpec)
