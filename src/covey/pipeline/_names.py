"""Names for the clusters of a run, from its features and a vocabulary, or from captions."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Final, NamedTuple

import numpy as np

from covey.errors import CoveyError, ImageReadError, InvalidValueError
from covey.images import read_image
from covey.naming import (
    DEFAULT_THRESHOLD,
    MAX_CHANCE,
    class_shares,
    name_by_hierarchy,
    name_clusters,
    name_from_captions,
    sample_rows,
    word_chances,
    words_separate,
)
from covey.pipeline._run_words import find_classifier, find_text_space
from covey.store import PartitionInfo, Project
from covey.text import (
    TextSpace,
    Vocabulary,
    center_classifier,
    default_vocabulary,
    noun_tree,
    read_classifier,
    vocabulary_from,
)
from covey.types import (
    Backbone,
    BackboneSpec,
    ByteArray,
    Captioner,
    ClusterName,
    FloatArray,
    IntArray,
    Partition,
    Progress,
)

N_CAPTIONED = 30
"""Images of a cluster that a captioner is asked about."""

MAX_VOTERS, FEWEST_VOTERS, TOTAL_VOTERS = 2000, 50, 100_000
"""Images of a cluster that vote at most, at least (if there are as many), and about how many in all."""

MAX_TESTED_WORDS: Final = 100
"""Words of a person's list, at most, that are compared with random words; for more, there are too few random ones."""

NOTE_CHANCE: Final = "these words do not separate your images: they fit the clusters no better than random words do"

_STAGE = "name"
_N_STEPS = 3
_CAPTION_PX = 512
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NamingReport:
    """What named the clusters of a run, and how many.

    Attributes
    ----------
    source : str
        What spoke, for a person.
    is_bridge : bool
        Whether two models that never met were joined, which is weaker than CLIP.
    vocabulary : str
        Where the words come from.
    n_words, n_duplicates : int
        Words of the vocabulary, and lines that repeated one.
    templates : tuple of str
        The prompts that words were put into; none if captions were read.
    threshold : float
        The score below which a cluster got no name.
    n_named, n_unnamed : int
        Clusters with a name, and without one.
    note : str
        What a person should know of the words, e.g. that they fit no better than random ones; empty if nothing.
    """

    source: str
    is_bridge: bool
    vocabulary: str
    n_words: int
    n_duplicates: int
    templates: tuple[str, ...]
    threshold: float
    n_named: int
    n_unnamed: int
    note: str = ""


def name_partition(
    project: Project,
    partition_id: int,
    *,
    vocabulary: Vocabulary | None = None,
    templates: Sequence[str] = (),
    threshold: float = DEFAULT_THRESHOLD,
    n_runners_up: int = 4,
    captioner: Captioner | None = None,
    backbones: Sequence[Backbone] = (),
    device: str = "auto",
    progress: Progress | None = None,
) -> NamingReport:
    """Name the clusters of a run and write the names into its project; who is in which cluster does not change.

    Parameters
    ----------
    project : Project
        Open and locked.
    partition_id : int
        Which run.
    vocabulary : Vocabulary, optional
        The words to choose from. If neither they nor templates are given, the nouns of WordNet above the classes of the
        classifier that comes with the backbone's weights; without a classifier covey's own list.
    templates : sequence of str, optional
        Prompts with ``{}`` for the word, averaged; that of the space if there are none. Not with a captioner.
    threshold : float, default=0.05
        In [0, 1]; a cluster whose best word scores less is called "Unnamed" with its number.
    n_runners_up : int, default=4
        Further words to keep.
    captioner : Captioner, optional
        Describes pictures; names are then the words of the vocabulary in what it says of 30 pictures of each cluster.
    backbones : sequence of Backbone, optional
        Those of the run that are loaded already; needed for a model that came from a folder.
    device : str, default="auto"
        Where networks run.
    progress : Progress, optional
        Told after each step.

    Returns
    -------
    report : NamingReport
        What spoke.

    Raises
    ------
    InvalidValueError
        If the threshold or a template is not allowed, or nothing can compare the run's pictures with words.
    ProjectError
        If the run or its features are unknown.
    """
    if not 0 <= threshold <= 1:
        raise InvalidValueError(f"The threshold is {threshold}; it must lie in [0, 1].")
    if templates and captioner is not None:
        raise InvalidValueError("A captioner writes its own sentences; leave out the templates.")
    info, partition = project.partition_info(partition_id), project.partition(partition_id)
    job = _Job(project, info, partition, threshold, n_runners_up, progress or _silent)
    if captioner is not None:
        made = _name_by_captions(job, vocabulary or default_vocabulary(), captioner)
    elif vocabulary is None and not templates and (classifier := find_classifier(info, backbones=backbones)):
        made = _name_by_classes(job, *classifier)
    else:
        space, X = find_text_space(project, info, partition.ids, backbones=backbones, device=device)
        made = _name_by_words(job, vocabulary, templates, space, X)
    n_named = sum(bool(name.name) for name in made.names)
    report = NamingReport(
        source=made.source,
        is_bridge=made.is_bridge,
        vocabulary=made.words.source,
        n_words=len(made.words),
        n_duplicates=made.words.n_duplicates,
        templates=made.templates,
        threshold=threshold,
        n_named=n_named,
        n_unnamed=len(made.names) - n_named,
        note=made.note,
    )
    project.write_names(info.id, [_or_number(name) for name in made.names], naming=asdict(report))
    job.tell(_STAGE, _N_STEPS, _N_STEPS)
    return report


class _Job(NamedTuple):
    """What all ways of naming have: the run, and what names are wanted."""

    project: Project
    info: PartitionInfo
    partition: Partition
    threshold: float
    n_runners_up: int
    tell: Progress


class _Made(NamedTuple):
    """What a way of naming made, and of what."""

    names: list[ClusterName]
    words: Vocabulary
    source: str
    is_bridge: bool = False
    templates: tuple[str, ...] = ()
    note: str = ""


def _name_by_captions(job: _Job, words: Vocabulary, captioner: Captioner) -> _Made:
    """Name clusters by the words in what a captioner says of some of their images."""
    rows, captions = _caption_members(job.project, job.partition, captioner, job.tell)
    names = name_from_captions(
        captions, job.partition.labels[rows], words.words, threshold=job.threshold, n_runners_up=job.n_runners_up
    )
    return _Made(names, words, f"captions of {type(captioner).__name__}")


def _name_by_classes(job: _Job, spec: BackboneSpec, fingerprint: str) -> _Made:
    """Name clusters by the nouns above the classes of the classifier that comes with a backbone's weights."""
    X = job.project.features.load(fingerprint, job.partition.ids).X
    rows = sample_rows(job.partition.labels, _images_a_cluster(job.info.n_clusters))
    weight, bias = center_classifier(*read_classifier(spec), X)
    labels, shares = class_shares(X[rows], job.partition.labels[rows], weight, bias)
    tree = noun_tree()
    names = name_by_hierarchy(
        shares, labels, tree.names, tree.below, threshold=job.threshold, n_runners_up=job.n_runners_up
    )
    return _Made(names, Vocabulary(tree.names, "WordNet"), f"{spec.name}'s ImageNet classifier")


def _name_by_words(
    job: _Job, vocabulary: Vocabulary | None, templates: Sequence[str], space: TextSpace, X: FloatArray
) -> _Made:
    """Name clusters by the words that their images vote for, of a person's list by those that are no chance matches."""
    words, templates = vocabulary or default_vocabulary(), tuple(templates) or (space.template,)
    job.tell(_STAGE, 0, _N_STEPS)
    word_vectors = space.place_words(words.words, templates)
    job.tell(_STAGE, 1, _N_STEPS)
    rows = sample_rows(job.partition.labels, _images_a_cluster(job.info.n_clusters))
    images, labels = space.place_images(X[rows]), job.partition.labels[rows]
    is_allowed, note = None, ""
    if vocabulary is not None and len(words) <= MAX_TESTED_WORDS and len(rows):
        own = {word.casefold() for word in words.words}
        reference = [word for word in default_vocabulary().words if word not in own]
        chances = word_chances(images, labels, word_vectors, space.place_words(reference, templates))
        is_allowed = chances <= MAX_CHANCE
        if not words_separate(chances):
            is_allowed, note = np.zeros_like(is_allowed), NOTE_CHANCE
    names = name_clusters(
        images,
        labels,
        words.words,
        word_vectors,
        temperature=space.temperature,
        threshold=job.threshold,
        n_runners_up=job.n_runners_up,
        is_allowed=is_allowed,
    )
    return _Made(names, words, space.source, space.is_bridge, templates, note)


def try_to_name(
    project: Project,
    partition_id: int,
    *,
    backbones: Sequence[Backbone] = (),
    device: str = "auto",
    progress: Progress | None = None,
) -> tuple[NamingReport | None, str]:
    """Name the clusters of a run if that is possible; whatever goes wrong, the run goes on.

    Parameters
    ----------
    project, partition_id, backbones, device, progress
        As for `name_partition`.

    Returns
    -------
    report : NamingReport or None
        None if the clusters have no names.
    reason : str
        Why not, for a person; empty if they have.
    """
    try:
        report = name_partition(project, partition_id, backbones=backbones, device=device, progress=progress)
    except CoveyError as error:
        return None, str(error)
    except Exception as error:  # names are an extra: hours of clustering must not be lost for them
        _logger.warning("The clusters could not be named.", exc_info=True)
        return None, f"naming failed ({type(error).__name__}: {error})"
    return report, ""


def folder_vocabulary(project: Project) -> Vocabulary:
    """Return the names of the folders in which a project's pictures lie.

    Parameters
    ----------
    project : Project
        Open.

    Returns
    -------
    vocabulary : Vocabulary
        In natural order of the paths; underscores and hyphens are read as spaces.

    Raises
    ------
    InvalidValueError
        If no picture lies in a folder below the common one.
    """
    paths = (path for paths in project.paths().values() for path in paths)
    names = (PurePosixPath(path).parent.name.replace("_", " ").replace("-", " ") for path in paths)
    return vocabulary_from(dict.fromkeys(name for name in names if name), source="the names of the folders")


def _caption_members(
    project: Project, partition: Partition, captioner: Captioner, tell: Progress
) -> tuple[IntArray, list[str]]:
    """Caption some pictures of each cluster, spread over its members; return their rows and what was said."""
    rows = sample_rows(partition.labels, N_CAPTIONED)
    captions = []
    for place, row in enumerate(rows):
        pixels = _read_pixels(project, partition.ids[row])
        captions.append(captioner.caption([pixels])[0] if pixels is not None else "")
        tell(_STAGE, place + 1, len(rows))
    return rows, captions


def _read_pixels(project: Project, image_id: str) -> ByteArray | None:
    """Return a picture, its longer side at most 512 pixels; None if it is gone or damaged since."""
    try:
        image = read_image(project.path_of(image_id), min_size=(_CAPTION_PX, _CAPTION_PX))
    except ImageReadError as error:
        _logger.warning("No caption for %s: %s", image_id, error)
        return None
    image.thumbnail((_CAPTION_PX, _CAPTION_PX))
    return np.asarray(image, dtype=np.uint8)


def _images_a_cluster(n_clusters: int) -> int:
    """Return how many images of a cluster vote, so that with many clusters their vectors still fit into memory."""
    return min(MAX_VOTERS, max(FEWEST_VOTERS, TOTAL_VOTERS // max(n_clusters, 1)))


def _or_number(name: ClusterName) -> ClusterName:
    """Call a cluster that no word fits by its number; that its words are guesses is not for a heading to hide."""
    return name if name.name else name._replace(name=f"Unnamed {name.label}")


def _silent(stage: str, n_done: int, n_total: int | None) -> None:
    """Tell nobody."""
