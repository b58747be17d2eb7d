"""Names from WordNet, and from lists that fit or do not: how many are right, and how many clusters have one.

    python benchmarks/cluster_names.py hierarchy lists --seeds 3

Lines are appended to cluster_names.csv beside this file (part, set, k, setting, seed, score, value); a line that is
there is not made again. Spherical k-means with k clusters of 2,000 images of each set (drawn with seed 0), features of
efficientnet_lite2.in1k. Rule of judging, by the images' true classes: a name is *right* if more than half of the
cluster's images are of classes whose synset is the name's or below it (a correct more general word is right), *close*
if for more than half the name is below the class (a kind of it, which the labels cannot tell), else *wrong*. Scores are
shares of the names shown, and the share of clusters that have one.

`grid` is what min_share and the threshold were chosen by: the smallest min_share for which, with seed 0 and the
threshold .05, no name of Imagenette and CIFAR-10 is wrong. Both sets are thus not unseen. Flickr8k and emoji, which
nothing was chosen
by, have no classes that a script could judge by; docs/guide/names-and-search.md tells what was seen there.
"""

import argparse
import csv
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from covey.backbones import BACKBONES
from covey.cluster import KMeans
from covey.naming import (
    DEFAULT_THRESHOLD,
    MAX_CHANCE,
    MIN_SHARE,
    class_shares,
    name_by_hierarchy,
    name_clusters,
    word_chances,
    words_separate,
)
from covey.text import bridge_space, center_classifier, default_vocabulary, noun_tree, read_classifier
from covey.text._wordnet import Synset, _at_or_above, read_synsets
from feature_sets import LITE2, embed

TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = ("part", "set", "k", "setting", "seed", "score", "value")
Line = tuple[str, str, int, str, int, str, float]
_N_IMAGES = 2000
_KS = (10, 20, 40)

# Synsets of the classes, by the folders' names in order. WordNet's deer is no class of ImageNet, but a ruminant.
SYNSETS = {
    "imagenette": [
        "n01440764",
        "n02102040",
        "n02979186",
        "n03000684",
        "n03028079",
        "n03394916",
        "n03417042",
        "n03425413",
        "n03445777",
        "n03888257",
    ],
    "cifar10-test": [
        "n02691156",
        "n02958343",
        "n01503061",
        "n02121620",
        "n02430045",
        "n02084071",
        "n01639765",
        "n02374451",
        "n04194289",
        "n04490091",
    ],
}
_BEYOND = {"n02430045": Synset(-1, "", ("deer",), ("n02399000",))}

CLASS_NAMES = {
    "imagenette": "tench,english springer,cassette player,chain saw,church,french horn,garbage truck,gas pump,golf "
    "ball,parachute",
    "cifar10-test": "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck",
}
_FLOWERS = (
    "pink primrose,globe thistle,blanket flower,trumpet creeper,blackberry lily,snapdragon,colt's foot,king protea,"
    "spear thistle,yellow iris,globe flower,purple coneflower,peruvian lily,balloon flower,fire lily,fritillary,"
    "red ginger,grape hyacinth,corn poppy,stemless gentian"
)
_OFFICE = "stapler,invoice,board meeting,tax form,spreadsheet,whiteboard,deadline,manager,printer toner,contract"


SHIPPED = ((MIN_SHARE, DEFAULT_THRESHOLD),)


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    X, y = embed(name, (LITE2,))
    rows = np.random.default_rng(0).permutation(len(X))[:_N_IMAGES]
    return X[rows], y[rows]


def judge(shares: np.ndarray, classes: list[str], node: str) -> str:
    """Judge a node by the shares of a cluster's images in the classes."""
    synsets = {**read_synsets(), **_BEYOND}
    is_above = np.array([node in _at_or_above(synset, synsets) for synset in classes])
    is_below = np.array([synset in _at_or_above(node, synsets) for synset in classes])
    if shares[is_above].sum() > 0.5:
        return "right"
    return "close" if shares[is_below].sum() > 0.5 else "wrong"


def measure_hierarchy(
    seed: int, settings: Sequence[tuple[float, float]] = SHIPPED, part: str = "hierarchy"
) -> Iterator[Line]:
    tree = noun_tree()
    for name, classes in SYNSETS.items():
        X, y = load(name)
        weight, bias = center_classifier(*read_classifier(BACKBONES[LITE2]), X)
        for k in _KS:
            clusters = KMeans(n_clusters=k, spherical=True, random_state=seed).fit_predict(X)
            labels, shares = class_shares(X, clusters, weight, bias)
            for min_share, threshold in settings:
                names = name_by_hierarchy(
                    shares, labels, tree.names, tree.below, min_share=min_share, threshold=threshold
                )
                verdicts = [
                    judge(
                        np.bincount(y[clusters == found.label], minlength=len(classes))
                        / (clusters == found.label).sum(),
                        classes,
                        tree.synsets[tree.names.index(found.name)],
                    )
                    for found in names
                    if found.name
                ]
                setting = f"min_share={min_share} threshold={threshold}"
                yield part, name, k, setting, seed, "named", len(verdicts) / k
                for verdict in ("right", "close", "wrong"):
                    share = verdicts.count(verdict) / len(verdicts) if verdicts else 0.0
                    yield part, name, k, setting, seed, verdict, share


def measure_grid(seed: int) -> Iterator[Line]:
    settings = [(share, threshold) for share in (0.1, 0.15, 0.2, 0.3, 0.4) for threshold in (0.03, 0.05, 0.1)]
    yield from measure_hierarchy(seed, settings, "grid")


def measure_lists(seed: int) -> Iterator[Line]:
    reference = list(default_vocabulary().words)
    for name in SYNSETS:
        X, y = load(name)
        space = bridge_space(BACKBONES[LITE2], X)
        images, reference_vectors = space.place_images(X), space.place_words(reference)
        own = CLASS_NAMES[name].split(",")
        other = next(names for key, names in CLASS_NAMES.items() if key != name).split(",")
        lists = {
            "the class names": own,
            "the class names and flowers": [*own, *_FLOWERS.split(",")],
            "another set's class names": other,
            "flowers": _FLOWERS.split(","),
            "office words": _OFFICE.split(","),
        }
        for k in (10, 20):
            clusters = KMeans(n_clusters=k, spherical=True, random_state=seed).fit_predict(X)
            for title, words in lists.items():
                vectors = space.place_words(words)
                chances = word_chances(images, clusters, vectors, reference_vectors)
                is_allowed = (chances <= MAX_CHANCE) & words_separate(chances)
                for setting, allowed in ((title, is_allowed), (f"{title}, not tested", None)):
                    names = name_clusters(
                        images, clusters, words, vectors, temperature=space.temperature, is_allowed=allowed
                    )
                    is_right = [
                        found.name == own[np.bincount(y[clusters == found.label]).argmax()]
                        for found in names
                        if found.name
                    ]
                    yield "lists", name, k, setting, seed, "named", len(is_right) / k
                    yield "lists", name, k, setting, seed, "right", float(np.mean(is_right)) if is_right else 0.0


PARTS = {"hierarchy": measure_hierarchy, "grid": measure_grid, "lists": measure_lists}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    if not TABLE.exists():
        TABLE.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    with TABLE.open(encoding="utf-8", newline="") as file:
        known = {(line["part"], line["seed"]) for line in csv.DictReader(file)}
    for part in arguments.parts:
        for seed in range(arguments.seeds):
            if (part, str(seed)) in known:
                continue
            lines = [(*facts, f"{value:.4f}") for *facts, value in PARTS[part](seed)]
            with TABLE.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(lines)
            for line in lines:
                print(*line, sep=", ", flush=True)


if __name__ == "__main__":
    main()
