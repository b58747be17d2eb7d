"""Names for clusters, search by text and by picture: what the bridge and the representations are worth.

    python benchmarks/names.py rule names retrieval-imagenette retrieval-cifar10 flickr engines --seeds 5

Lines are appended to names.csv beside this file (part, set, setting, seed, score, value); a line that is there is not
made again. `rule` chooses the bridge's constants without a picture and without a label of any set; the other parts only
measure, and nothing is chosen by them. Labels are for scores alone.
"""

import argparse
import csv
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from scipy.special import log_softmax, softmax

from covey._arrays import l2_normalize
from covey.backbones import BACKBONES
from covey.cluster import CPP, SCP, KMeans
from covey.metrics import retrieval_scores
from covey.naming import name_clusters
from covey.search import ExactSearch, search_recall
from covey.text import ClassifierBridge, bridge_space, default_vocabulary, load_text_embedder
from covey.text._bridge import read_classifier
from covey.text._vocabulary import fill_template, imagenet_words
from feature_sets import DATA, LITE2, embed, load_set

TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = ("part", "set", "setting", "seed", "score", "value")
Line = tuple[str, str, str, int, str, float]

# What a person would accept as the name of a class, beside its own: other words for it and the kind one level up, as
# far as the vocabulary has them. Written before the first run, for scores alone.
ACCEPTED = {
    "imagenette": {
        "n01440764": {"tench", "fish", "carp", "catfish"},
        "n02102040": {"english springer", "spaniel", "dog", "hound"},
        "n02979186": {"cassette player", "tape recorder", "cassette tape", "record player", "radio"},
        "n03000684": {"chain saw", "chainsaw"},
        "n03028079": {"church", "chapel", "cathedral"},
        "n03394916": {"french horn"},
        "n03417042": {"garbage truck"},
        "n03425413": {"gas pump", "gas station"},
        "n03445777": {"golf ball"},
        "n03888257": {"parachute"},
    },
    "cifar10-test": {
        "airplane": {"airplane", "airliner", "jet", "propeller plane"},
        "automobile": {"automobile", "car", "sedan", "coupe", "hatchback", "sports car", "classic car", "vintage car"},
        "bird": {"bird", "songbird"},
        "cat": {"cat", "kitten", "tabby cat"},
        "deer": {"deer", "stag", "fawn", "elk"},
        "dog": {"dog", "puppy", "hound"},
        "frog": {"frog", "toad", "tree frog"},
        "horse": {"horse", "pony", "mare", "stallion"},
        "ship": {"ship", "boat", "cargo ship", "motorboat", "ocean liner"},
        "truck": {"truck", "semi truck", "tanker truck", "dump truck", "delivery truck"},
    },
}
OWN_NAMES = {
    "imagenette": "tench,english springer,cassette player,chain saw,church,french horn,garbage truck,gas "
    "pump,golf ball,"
    "parachute",
    "cifar10-test": "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck",
}


def measure_rule(_: int) -> Iterator[Line]:
    """Leave out a class, let its direction be a picture, and rank the thousand class words without using that class."""
    weight, bias = read_classifier(BACKBONES[LITE2])
    embedder, words = load_text_embedder(), imagenet_words()
    bridge = ClassifierBridge(weight, bias, words, embedder)
    gram = bridge.directions @ bridge.directions.T
    lengths = np.sqrt(np.diag(gram))
    for template in ("{}", "a photo of a {}"):
        texts = l2_normalize(embedder.encode_texts(fill_template(template, words)))
        likeness = texts @ texts.T
        for tau in (0.04, 0.05, 0.06, 0.07, 0.08, 0.1):
            cosines = _without_own_class(likeness, gram, tau) / lengths
            yield "rule", "imagenet words", f"{template} tau={tau}", 0, "mean reciprocal rank", _mrr(cosines)
            if (template, tau) == ("{}", 0.06):
                for factor in (10, 15, 20, 25, 30, 40, 60, 100):
                    likelihood = np.diag(log_softmax(factor * cosines, axis=0)).mean()
                    yield "rule", "imagenet words", f"votes x {factor}", 0, "mean log-likelihood", float(likelihood)
        for factor in (2, 4, 8, 16):
            logits = factor * gram - np.where(np.eye(len(gram)) > 0, np.inf, 0)
            images = l2_normalize((softmax(logits, axis=0).T @ texts).astype(np.float32))
            yield (
                "rule",
                "imagenet words",
                f"{template} ConSE x {factor}",
                0,
                "mean reciprocal rank",
                _mrr(texts @ images.T),
            )


def _without_own_class(likeness: np.ndarray, gram: np.ndarray, tau: float) -> np.ndarray:
    """Return how well word w fits class c's direction if w may not use c: (n_words, n_classes)."""
    share = softmax(likeness / tau, axis=1)
    mixed, own = share @ gram, np.diag(gram)
    squares = (mixed * share).sum(axis=1)[:, None] - 2 * share * mixed + share**2 * own
    return (mixed - share * own) / np.sqrt(np.maximum(squares, 1e-9))


def _mrr(scores: np.ndarray) -> float:
    return float((1 / (1 + (scores > np.diag(scores)).sum(axis=0))).mean())


def measure_names(seed: int) -> Iterator[Line]:
    """Cluster with k-means, name with three vocabularies, and compare with the class most of a cluster's "
    "images have."""
    for pictures in ("imagenette", "cifar10-test"):
        X, y = embed(pictures, (LITE2,))
        keys = sorted(ACCEPTED[pictures])
        labels = KMeans(n_clusters=10, spherical=True, random_state=seed).fit_predict(X)
        space = bridge_space(BACKBONES[LITE2], X)
        own = OWN_NAMES[pictures].split(",")
        general = list(default_vocabulary().words)
        vocabularies = {
            "covey's vocabulary": general,
            "covey's vocabulary and the class names": [*general, *(name for name in own if name not in general)],
            "the class names alone": own,
        }
        for title, words in vocabularies.items():
            vectors = space.place_words(words)
            for kind, groups in (("k-means", labels), ("true classes", y)):
                names = name_clusters(
                    space.place_images(X), groups, words, vectors, temperature=space.temperature, threshold=0
                )
                first, any_of_five = [], []
                for name in names:
                    key = keys[np.bincount(y[groups == name.label]).argmax()]
                    accepted = ACCEPTED[pictures][key]
                    first.append(name.name in accepted)
                    any_of_five.append(bool({name.name, *name.runners_up} & accepted))
                if kind == "k-means" or seed == 0:
                    yield "names", pictures, f"{kind}, {title}", seed, "top-1", float(np.mean(first))
                    yield "names", pictures, f"{kind}, {title}", seed, "top-5", float(np.mean(any_of_five))


def measure_retrieval(name: str, seed: int) -> Iterator[Line]:
    """Search the fitted rows by held-out rows of known class, in features and in what methods make of them."""
    data = load_set(name)
    n_clusters = len(np.unique(data.y))
    spaces = {"features": (data.X, data.X_test)}
    for kind in (SCP, CPP):
        method = kind(n_clusters=n_clusters, random_state=seed).fit(data.X)
        spaces[f"{kind.__name__}.transform"] = (method.transform(data.X), method.transform(data.X_test))
    for space, (rows, queries) in spaces.items():
        if space == "features" and seed:
            continue  # nothing is drawn
        hits = ExactSearch(rows).search(queries, 64)
        for k in (10, 64):
            found = np.stack([data.y[hit.rows[:k]] for hit in hits])
            scores = retrieval_scores(found, data.y_test, data.y)
            yield f"retrieval-{name}", name, space, seed, f"precision@{k}", scores.precision
            yield (
                f"retrieval-{name}",
                name,
                space,
                seed,
                f"worst class precision@{k}",
                float(scores.class_precision.min()),
            )


def measure_flickr(_: int) -> Iterator[Line]:
    """Search 1,000 photographs by each of their 5,000 captions through the bridge."""
    X, names = _flickr_features()
    with (_unpack_flickr() / "captions.csv").open(encoding="utf-8") as file:
        captions = [(row["image"], row["caption"]) for row in csv.DictReader(file)]
    space = bridge_space(BACKBONES[LITE2], X)
    scores = space.place_texts([caption for _, caption in captions]) @ space.place_images(X).T
    own = np.array([names.index(image) for image, _ in captions])
    ranks = (scores > scores[np.arange(len(own)), own][:, None]).sum(axis=1)
    for k in (1, 5, 10):
        yield "flickr", "flickr8k-1000", "bridge", 0, f"R@{k}", float((ranks < k).mean())


def _unpack_flickr() -> Path:
    import tarfile

    from feature_sets import CACHE

    folder = CACHE / "flickr8k"
    if not folder.exists():
        with tarfile.open(DATA / "flickr8k-1000.tar") as archive:
            archive.extractall(folder, filter="data")
    return folder


def _flickr_features() -> tuple[np.ndarray, list[str]]:
    from covey.pipeline import embed_folder
    from covey.store import Project

    folder = _unpack_flickr()
    features, _, _ = embed_folder([folder], folder.with_suffix(".covey"), backbone=LITE2)
    with Project.open(folder.with_suffix(".covey")) as project:
        paths = {record.id: record.path.name for record in project.records()}
    return features.X, [paths[image_id] for image_id in features.ids]


def measure_engines(_: int) -> Iterator[Line]:
    """Search CIFAR-10's 20,000 rows by 100 held-out rows, one at a time."""
    from covey.search._usearch import USearch

    data = load_set("cifar10")
    queries = data.X_test[:100]
    start = time.process_time()
    index = USearch(data.X)
    built = time.process_time() - start
    engines = {"exact": ExactSearch(data.X), "usearch": index}
    found, seconds = {}, {}
    for name, engine in engines.items():
        start = time.process_time()
        found[name] = [engine.search(query[None], 20)[0] for query in queries]
        seconds[name] = (time.process_time() - start) / len(queries)
    yield "engines", "cifar10-train", "usearch", 0, "recall@20", search_recall(found["exact"], found["usearch"])
    yield "engines", "cifar10-train", "exact", 0, "CPU milliseconds a query", 1000 * seconds["exact"]
    yield "engines", "cifar10-train", "usearch", 0, "CPU milliseconds a query", 1000 * seconds["usearch"]
    yield "engines", "cifar10-train", "usearch", 0, "CPU seconds to build", built


PARTS = {
    "rule": (measure_rule, 1),
    "names": (measure_names, None),
    "retrieval-imagenette": (partial(measure_retrieval, "imagenette"), None),
    "retrieval-cifar10": (partial(measure_retrieval, "cifar10"), None),
    "flickr": (measure_flickr, 1),
    "engines": (measure_engines, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=list(PARTS))
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    if not TABLE.exists():
        TABLE.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    with TABLE.open(encoding="utf-8", newline="") as file:
        known = {(line["part"], line["seed"]) for line in csv.DictReader(file)}
    for part in arguments.parts:
        measure, n_seeds = PARTS[part]
        for seed in range(n_seeds or arguments.seeds):
            if (part, str(seed)) in known:
                continue
            lines = [(*facts, f"{value:.4f}") for *facts, value in measure(seed)]
            with TABLE.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(lines)
            for line in lines:
                print(*line, sep=", ", flush=True)


if __name__ == "__main__":
    main()
