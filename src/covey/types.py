"""The records that packages pass to one another, and the protocols that plug-ins fulfill.

Nothing here computes. Arrays are NumPy arrays: features are float32, labels int64, pixels uint8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

NOISE: Final = -1
"""The label of a row that belongs to no cluster."""

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]
ByteArray: TypeAlias = NDArray[np.uint8]


class Progress(Protocol):
    """What a long task calls to say how far it is."""

    def __call__(self, stage: str, n_done: int, n_total: int | None) -> None:
        """Report that `n_done` of `n_total` items of `stage` are done; `n_total` is None when unknown."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One distinct image.

    Attributes
    ----------
    id : str
        Hexadecimal sha256 of the file's bytes.
    path : Path
        One absolute path that holds these bytes.
    width, height : int
        Size in pixels after the EXIF turn.
    n_bytes, mtime_ns : int
        Size in bytes and modification time in nanoseconds of the file at `path`, by which a change is noticed; -1 if
        they are not known.
    """

    id: str
    path: Path
    width: int
    height: int
    n_bytes: int = field(default=-1, compare=False)
    mtime_ns: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One path where an image was found; several paths may hold the same image.

    Attributes
    ----------
    path : Path
        Absolute path.
    id : str
        The `ImageRecord.id` of its bytes.
    n_bytes : int
        File size in bytes.
    mtime_ns : int
        Modification time in nanoseconds, to notice a change without reading the file again.
    is_companion : bool
        Whether it is a camera's raw file that counts as a further path of the JPEG beside it; its own bytes have
        another hash then.
    """

    path: Path
    id: str
    n_bytes: int
    mtime_ns: int
    is_companion: bool = False


@dataclass(frozen=True, slots=True)
class ImageFailure:
    """A path that was found and left out.

    Attributes
    ----------
    path : Path
        Absolute path.
    code : str
        ``ERROR_CORRUPT_IMAGE``, ``ERROR_ZERO_SIZE_FILE``, ``ERROR_IMAGE_TOO_SMALL``, ``ERROR_UNSUPPORTED`` or
        ``ERROR_TOO_LARGE``; or one that may pass: ``ERROR_MISSING_FILE``, ``ERROR_PERMISSION``, ``ERROR_IO``,
        ``ERROR_MEMORY`` or ``ERROR_CHANGED``.
    message : str
        What is wrong, for a person.
    n_bytes : int
        File size in bytes, 0 if unknown.
    id : str
        sha256 of the bytes if they could be read, else an empty string.
    """

    path: Path
    code: str
    message: str
    n_bytes: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class ImageNote:
    """Something about an image that was read, which a person may want to know.

    Attributes
    ----------
    id : str
        The `ImageRecord.id`.
    code : str
        ``NOTE_TRUNCATED``, ``NOTE_FIRST_PAGE``, ``NOTE_LATER_FRAME``, ``NOTE_PROFILE_IGNORED``,
        ``NOTE_METADATA_IGNORED`` or ``NOTE_RAW_PREVIEW``.
    message : str
        The same in words.
    """

    id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Everything about a backbone that changes its features, and where it comes from.

    Attributes
    ----------
    name : str
        ``architecture.weights_tag``, for example ``"efficientnet_lite2.in1k"``.
    loader : str
        Name of the loader in `covey.backbones.LOADERS`.
    n_features : int
        Width of a feature row.
    input_size : tuple of int
        Height and width in pixels that the network sees.
    crop_fraction : float
        Share of the resized image's shorter side that the center crop keeps, in (0, 1].
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos"}
        Filter of the resize.
    mean, std : tuple of float
        Per-channel mean and standard deviation on the scale 0 to 255.
    weights : str
        Where the weights come from: ``package==version:path``, ``hub:owner/name``, ``file:address``, ``folder`` for
        one that a person named, or ``none`` with the revision of the method.
    sha256 : str
        Hash of the weights file; empty if the backbone has none, or if nobody here could take it.
    license : str
        SPDX identifier of the weights, or the name of their own license.
    paper : str
        Source of the architecture.
    pretraining : str
        Data sets that the weights have seen, and how (supervised or not).
    has_text : bool
        Whether a text tower shares the feature space.
    revision : str
        Commit or tag of the source; empty if it is not pinned, which means whatever the source calls its main version.
    pooling : str
        How an image becomes one row: ``"class token"``, ``"patch mean"``, ``"attention"``, ``"projection"`` or
        ``"mean"``; empty where the method has no choice.
    is_squashed : bool
        Whether the resize gives the image the network's shape instead of cropping it to that.
    architecture : str
        What the library that runs it calls the network.
    classifier : str
        Name of the layer of the weights that classifies ImageNet's 1,000 classes; empty if there is none.
    config : mapping of str to Any
        The network's sizes, as keywords of the library's configuration. They check weights and build the network
        without any; they do not change any number.
    """

    name: str
    loader: str
    n_features: int
    input_size: tuple[int, int]
    crop_fraction: float
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights: str
    sha256: str = ""
    license: str = ""
    paper: str = ""
    pretraining: str = ""
    has_text: bool = False
    revision: str = ""
    pooling: str = ""
    is_squashed: bool = False
    architecture: str = ""
    classifier: str = ""
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The features of a set of images under one backbone.

    Attributes
    ----------
    ids : tuple of str
        Image ids without repeats; row i of `X` belongs to ``ids[i]``.
    X : ndarray of shape (n, d), dtype float32
        Features: C-ordered, finite, read-only.
    fingerprint : str
        Identifies everything that changes the numbers.
    views : ndarray of shape (n, n_views, d), dtype float32, or None
        Features of augmented copies.
    """

    ids: tuple[str, ...]
    X: FloatArray
    fingerprint: str
    views: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class NeighborGraph:
    """The nearest neighbors of every row.

    Attributes
    ----------
    indices : ndarray of shape (n, n_neighbors), dtype int64
        Nearest first; a row never contains itself.
    distances : ndarray of shape (n, n_neighbors), dtype float32
        Cosine distance ``1 - cosine`` or Euclidean distance.
    metric : {"cosine", "euclidean"}
        Which of the two.
    """

    indices: IntArray
    distances: FloatArray
    metric: str


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """One assignment of all images to clusters; changing it makes a new one.

    Attributes
    ----------
    ids : tuple of str
        Image ids.
    labels : ndarray of shape (n,), dtype int64
        Labels in [-1, n_clusters); -1 is `NOISE`.
    probabilities : ndarray of shape (n, n_clusters), dtype float32, or None
        Membership probabilities; None where the method gives none.
    confidence : ndarray of shape (n,), dtype float32
        In [0, 1], larger is surer. The largest probability, or the relative margin between the two nearest centers.
    second_labels : ndarray of shape (n,), dtype int64
        The next best cluster; -1 if there is only one.
    fingerprint : str
        Of the features.
    method : str
        Registered name of the clusterer.
    params : mapping
        Its parameters, JSON-compatible.
    info : mapping
        What else the run reports, e.g. diagnostics and how n_clusters was chosen. JSON-compatible.
    representation : ndarray of shape (n, d), dtype float32, or None
        What a trained head made of the features, for search; None where the method makes none.
    """

    ids: tuple[str, ...]
    labels: IntArray
    probabilities: FloatArray | None
    confidence: FloatArray
    second_labels: IntArray
    fingerprint: str
    method: str
    params: Mapping[str, Any]
    info: Mapping[str, Any] = field(default_factory=dict)
    representation: FloatArray | None = None


class ClusterName(NamedTuple):
    """The words for one cluster.

    Attributes
    ----------
    label : int
        The cluster.
    name : str
        Its words.
    score : float
        How well they fit, in [0, 1]; larger is better.
    runners_up : tuple of str
        The words that came next, best first.
    runner_up_scores : tuple of float
        Their scores in [0, 1], as many as `runners_up`, or none.
    """

    label: int
    name: str
    score: float
    runners_up: tuple[str, ...] = ()
    runner_up_scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterSummary:
    """What a person sees of one cluster.

    Attributes
    ----------
    label : int
        The cluster's label, or -1 for `NOISE`.
    name : ClusterName
        Its words.
    size : int
        Number of images.
    mean_confidence : float
        Mean of `Partition.confidence` over its images, in [0, 1].
    cohesion : float
        Mean cosine between its images and its center, in [-1, 1]; larger is tighter.
    nearest_label : int
        The cluster whose center is nearest: the one it is most easily confused with; -1 if there is only one.
    representatives : tuple of str
        Ids of real images near the center, nearest first.
    borderline : tuple of str
        Ids of its least sure images, least sure first.
    """

    label: int
    name: ClusterName
    size: int
    mean_confidence: float
    cohesion: float
    nearest_label: int
    representatives: tuple[str, ...]
    borderline: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One entry of a project's journal of corrections, see `covey.curation`.

    Attributes
    ----------
    seq : int
        Number within the journal, rising from 1; order is by this, never by time.
    uuid : str
        Chosen by whoever made it; an edit that is sent twice is stored once.
    at : str
        UTC, ISO 8601, to the second.
    author : str
        ``person``, ``cli``, ``assign`` or ``adopt``.
    op : str
        Name of the operation.
    payload : mapping
        Its parameters, JSON-compatible.
    undoes : int or None
        The edit that an ``undo`` takes back.
    images, values : ndarray of shape (m,), dtype int64
        Keys of the images that it touches, rising, and for each a cluster, a part or a place, as the operation has it.
    """

    seq: int
    uuid: str
    at: str
    author: str
    op: str
    payload: Mapping[str, Any]
    undoes: int | None
    images: IntArray
    values: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class TrainingState:
    """The state of a long training, so that another process can go on with it.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        All that changes in the course of the training.
    facts : mapping
        By which it is known again: parameters, what the data are. JSON-compatible.
    """

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]


@runtime_checkable
class Backbone(Protocol):
    """A frozen network that turns pixels into features."""

    @property
    def spec(self) -> BackboneSpec:
        """The catalog row."""

    @property
    def fingerprint(self) -> str:
        """Hash over the specification, the precision and the runtime: equal fingerprints, comparable features."""

    def encode_images(self, pixels: ByteArray) -> FloatArray:
        """Turn pixels into features.

        Parameters
        ----------
        pixels : ndarray of shape (b, h, w, 3), dtype uint8
            RGB images of the specification's input size.

        Returns
        -------
        features : ndarray of shape (b, d), dtype float32
            One row per image.
        """


@runtime_checkable
class TextEncoder(Protocol):
    """The text tower of a backbone whose feature space holds both."""

    def encode_texts(self, texts: Sequence[str]) -> FloatArray:
        """Turn texts into features.

        Parameters
        ----------
        texts : sequence of str
            The n texts.

        Returns
        -------
        features : ndarray of shape (n, d), dtype float32
            One row per text, in the space of the images' features.
        """


class NeighborEngine(Protocol):
    """A way to find nearest neighbors."""

    def neighbors(self, X: FloatArray, n_neighbors: int, metric: str) -> NeighborGraph:
        """Find the nearest neighbors of each row among all other rows.

        Parameters
        ----------
        X : ndarray of shape (n, d), dtype float32
            Rows.
        n_neighbors : int
            Neighbors of each row.
        metric : str
            ``"cosine"`` or ``"euclidean"``.

        Returns
        -------
        graph : NeighborGraph
            For the rows of `X`, in their order.
        """


class Captioner(Protocol):
    """A model that says in words what an image shows."""

    def caption(self, images: Sequence[ByteArray]) -> list[str]:
        """Describe images in words.

        Parameters
        ----------
        images : sequence of ndarray of shape (h, w, 3), dtype uint8
            RGB images, of any sizes.

        Returns
        -------
        captions : list of str
            One for each image.
        """
