"""Fine-tuning a small network with the heads of a TEMI, on drawn pictures; once with the embedded network."""

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from torch import nn

from covey.cluster import TEMI, fine_tune
from covey.cluster._temi_fine_tuning import JointDistillation, PixelBatches
from covey.metrics import clustering_accuracy
from covey.neighbors import nearest_neighbors

RATES = {"n_epochs": 10, "batch_size": 100, "learning_rate": 1e-3, "backbone_learning_rate": 1e-3, "device": "cpu"}


def draw_pictures(n, seed):
    """Noise of random brightness with a square somewhere that is a little red, green or blue."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    pictures = rng.normal(128, 20, (n, 12, 12, 3)) + rng.normal(0, 10, (n, 1, 1, 1))
    for picture, label, (top, left) in zip(pictures, y, rng.integers(0, 8, (n, 2)), strict=True):
        picture[top : top + 5, left : left + 5] += 60 * np.eye(3)[label] - 20
    return np.clip(pictures, 0, 255).astype(np.uint8), y


def make_network(seed=1, width=16):
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Conv2d(16, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    with torch.no_grad():
        for layer in (network[0], network[4]):
            layer.weight.normal_(std=(2 / layer.weight[0].numel()) ** 0.5, generator=generator)
            layer.bias.zero_()
    return network  # in training mode, as a caller may leave it


def embed(network, pixels):
    with torch.no_grad():
        return copy.deepcopy(network).eval()(torch.from_numpy(pixels / 255).float().permute(0, 3, 1, 2)).numpy()


def pair_information(p, X):
    """Estimate what a prediction tells about a neighbour's, in nats: the objective without its teacher."""
    p = p.astype(np.float64)
    weighted = p / p.mean(axis=0)
    table = nearest_neighbors(X, n_neighbors=10).indices
    return np.mean([np.log((p * weighted[column]).sum(axis=1)) for column in table.T])


@pytest.fixture(scope="module")
def pictures():
    return draw_pictures(600, 1)


@pytest.fixture(scope="module")
def network():
    return make_network()


@pytest.fixture(scope="module")
def temi(pictures, network):
    heads = {"n_heads": 5, "n_steps": 200, "hidden_size": 32, "bottleneck_size": 16}  # five: two chunks
    return TEMI(3, **heads, n_neighbors=20, batch_size=128, random_state=0, device="cpu").fit(
        embed(network, pictures[0])
    )


@pytest.fixture(scope="module")
def tuned(temi, network, pictures):
    return fine_tune(temi, network, pictures[0], **RATES, random_state=0)


def test_held_out_pictures_gain(temi, network, pictures, tuned):
    held_out, y = draw_pictures(300, 101)
    X = embed(network, held_out)
    before, after = temi.predict_proba(X), tuned.predict_proba(held_out)
    assert pair_information(after, X) > pair_information(before, X) + 0.05
    assert clustering_accuracy(y, after.argmax(1)) > clustering_accuracy(y, before.argmax(1)) + 0.02
    assert tuned.temi.diagnostics_["n_empty_clusters"] == 0
    assert tuned.temi.loss_history_.shape == (10, 5)
    assert (tuned.temi.loss_history_[-1] < tuned.temi.loss_history_[0]).all()
    assert tuned.temi.best_head_ == tuned.temi.head_losses_.argmin()


def test_what_came_is_not_changed(temi, pictures, tuned):
    fresh = make_network()
    given = make_network()
    before = copy.deepcopy(temi)
    fine_tune(temi, given, pictures[0], n_epochs=1, device="cpu")
    assert given.training
    for name, value in fresh.state_dict().items():
        assert torch.equal(given.state_dict()[name], value)
    np.testing.assert_array_equal(temi.probabilities_, before.probabilities_)
    for old, new in zip(before._teachers, temi._teachers, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True))
    assert tuned.temi is not temi


def test_weights_learn_statistics_stay(network, tuned):
    assert not tuned.backbone.training
    old, new = network.state_dict(), tuned.backbone.state_dict()
    assert all(torch.equal(old[name], new[name]) == ("running" in name or "num_batches" in name) for name in old)


def test_answers_agree_with_one_another(pictures, tuned):
    X = tuned.encode(pictures[0])
    np.testing.assert_array_equal(tuned.predict(pictures[0]), tuned.temi.labels_)
    np.testing.assert_array_equal(tuned.predict_proba(pictures[0]), tuned.temi.probabilities_)
    np.testing.assert_allclose(X, embed(tuned.backbone, pictures[0]), atol=1e-5)
    loaded = make_network(seed=9)
    loaded.load_state_dict(tuned.backbone.state_dict())
    np.testing.assert_array_equal(tuned.temi.predict(embed(loaded, pictures[0])), tuned.temi.labels_)


@pytest.mark.parametrize("augment", [False, True])
def test_the_same_seed_gives_the_same_and_the_global_generator_stays(temi, network, pictures, augment):
    state = torch.get_rng_state()
    runs = [
        fine_tune(temi, network, pictures[0], n_epochs=1, augment=augment, device="cpu", random_state=seed)
        for seed in (0, 0, 1)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    weights = [run.backbone[0].weight for run in runs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    np.testing.assert_array_equal(runs[0].temi.probabilities_, runs[1].temi.probabilities_)


def test_a_memory_map_and_a_graph_may_be_given(temi, network, pictures, tmp_path):
    np.save(tmp_path / "pixels.npy", pictures[0])
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    graph = nearest_neighbors(embed(network, pictures[0]), n_neighbors=20)
    options = {"n_epochs": 1, "device": "cpu", "random_state": 0}
    first = fine_tune(temi, network, pictures[0], **options)
    second = fine_tune(temi, network, mapped, neighbors=graph, **options)
    np.testing.assert_array_equal(first.temi.probabilities_, second.temi.probabilities_)


def test_frozen_parameters_stay(temi, pictures):
    network = make_network()
    network[0].requires_grad_(False)
    tuned = fine_tune(temi, network, pictures[0], n_epochs=1, device="cpu", backbone_learning_rate=1e-3)
    assert torch.equal(tuned.backbone[0].weight, network[0].weight)
    assert not torch.equal(tuned.backbone[4].weight, network[4].weight)


def test_the_gradient_is_that_of_the_whole_loss(temi, network, pictures):
    """Through the leaf and chunk by chunk, as if all heads and the backbone were one graph."""
    joint = make_joint(temi, network)
    x = batch_of(pictures[0])
    twin = copy.deepcopy(joint)
    losses = joint.backward(x)

    z = twin.scale(twin.student(x))
    target = twin.scale(twin.teacher(x)).detach()
    chunks = zip(twin.heads.students, twin.heads.teachers, twin.heads.priors, strict=True)
    parts = [(student(z), teacher(target).detach(), prior) for student, teacher, prior in chunks]
    weight = torch.cat([(t[:, :50] + t[:, 50:]).exp().sum(-1) for _, t, _ in parts]).mean(0)
    expected = []
    for s, t, prior in parts:
        q = prior.mean * 0.9 + 0.1 * t.exp().mean(1)
        for head in range(len(s)):
            first = ((s[head, :50] + t[head, 50:]) * 0.6 - q[head].log()).logsumexp(-1)
            second = ((s[head, 50:] + t[head, :50]) * 0.6 - q[head].log()).logsumexp(-1)
            expected.append(-(weight * (first + second)).mean() / 2)
    torch.stack(expected).mean().backward()
    torch.testing.assert_close(losses, torch.stack(expected).detach(), rtol=1e-4, atol=1e-5)
    for found, wanted in zip(joint.student.parameters(), twin.student.parameters(), strict=True):
        assert wanted.grad.abs().max() > 0
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-3, atol=1e-6)


def test_the_teacher_is_the_moving_average_of_its_student(temi, network, pictures):
    joint = make_joint(temi, network)
    optimizer = torch.optim.SGD([*joint.student.parameters(), *joint.heads.students[0].parameters()], lr=0.05)
    learned = [joint.student[0].weight, joint.heads.students[0].first_weight]
    followers = [joint.teacher[0].weight, joint.heads.teachers[0].first_weight]
    averages = [weight.detach().double().clone() for weight in learned]
    for start in range(4):
        optimizer.zero_grad()
        joint.backward(batch_of(pictures[0], start))
        optimizer.step()
        joint.update_teachers(0.7)
        averages = [
            0.7 * average + 0.3 * weight.detach().double() for average, weight in zip(averages, learned, strict=True)
        ]
    for follower, average, weight in zip(followers, averages, learned, strict=True):
        torch.testing.assert_close(follower.double(), average, rtol=1e-5, atol=1e-7)
        assert not torch.allclose(follower, weight, rtol=1e-4)


def test_priors_begin_at_the_mean_prediction(temi, network, pictures):
    X = embed(network, pictures[0])
    joint = make_joint(temi, network)
    joint.start_priors(X)
    found = torch.cat([prior.mean for prior in joint.heads.priors])[temi.best_head_]
    np.testing.assert_allclose(found, temi.predict_proba(X).mean(axis=0), atol=1e-2)  # bfloat16, if it is at hand


def make_joint(temi, network):
    """Float32 heads, so that twins agree closely."""
    joint = JointDistillation(copy.deepcopy(network).eval(), temi)
    for heads in (*joint.heads.students, *joint.heads.teachers):
        heads.compute_dtype = torch.float32
    return joint


def batch_of(pixels, start=0):
    return PixelBatches.check(pixels, (0, 0, 0), (255, 255, 255), torch.device("cpu")).take(slice(start, start + 100))


def test_a_collapse_is_told(temi, network, pictures):
    """Heads whose last layers have one direction for all clusters cannot tell anything apart."""
    broken = copy.deepcopy(temi)
    broken.labels_ = np.zeros_like(temi.labels_)
    for heads in [*broken._teachers, broken._head]:
        with torch.no_grad():
            heads.last_weight[:, 1:] = heads.last_weight[:, :1]
            heads.last_scale.fill_(1)
    with pytest.warns(ConvergenceWarning, match="clusters"):
        fine_tune(broken, network, pictures[0], n_epochs=1, learning_rate=1e-9, device="cpu", random_state=0)


def test_unfitted_heads_are_refused(network, pictures):
    with pytest.raises(NotFittedError):
        fine_tune(TEMI(3), network, pictures[0])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"n_epochs": 0}, (ValueError, "n_epochs is 0")),
        ({"batch_size": 1.5}, (TypeError, "batch_size is 1.5")),
        ({"learning_rate": 0.0}, (ValueError, "learning_rate")),
        ({"backbone_learning_rate": -1.0}, (ValueError, "backbone_learning_rate")),
        ({"mean": (0.0,)}, (ValueError, "mean has 1 numbers")),
        ({"std": (1.0, 0.0, 1.0)}, (ValueError, "std")),
        ({"mean": (900.0, 0.0, -900.0)}, (ValueError, "gives only")),
        ({"pixels": lambda p: p[:-1]}, (ValueError, "599 images, temi was fitted on 600")),
        ({"pixels": lambda p: p / 255}, (TypeError, "float64")),
        ({"pixels": lambda p: p[..., 0]}, (ValueError, r"\(600, 12, 12\)")),
        ({"pixels": lambda p: p.transpose(0, 3, 1, 2)}, (ValueError, r"\(600, 3, 12, 12\)")),
        ({"pixels": lambda p: p[:0]}, (ValueError, r"\(0, 12, 12, 3\)")),
        ({"backbone": make_network(width=17)}, (ValueError, "gives 17 features, temi was fitted on 16")),
        ({"backbone": nn.Sequential(*make_network()[:-1])}, (ValueError, r"gave \(128, 16, 1, 1\)")),
        ({"backbone": make_network().requires_grad_(False)}, (ValueError, "nothing to train")),
    ],
)
def test_what_does_not_fit_is_named(temi, network, pictures, change, expected):
    options = {"backbone": network, **change, "pixels": change.get("pixels", lambda p: p)(pictures[0])}
    with pytest.raises(expected[0], match=expected[1]):
        fine_tune(temi, options.pop("backbone"), options.pop("pixels"), device="cpu", **options)


def test_a_graph_of_other_rows_is_refused(temi, network, pictures):
    graph = nearest_neighbors(embed(network, pictures[0])[:500], n_neighbors=20)
    with pytest.raises(ValueError, match="500 rows, X has 600"):
        fine_tune(temi, network, pictures[0], neighbors=graph, device="cpu")


@pytest.mark.slow
def test_the_embedded_network_learns_on_photographs(unpacked):
    """EfficientNet-Lite0 on 96 pixels, 150 photographs of five classes: the loss falls, nothing collapses."""
    from PIL import Image

    from covey.backbones import BACKBONES, load_torch_backbone

    folder = unpacked("imagenette-val.tar") / "val"
    paths = [path for wnid in sorted(folder.iterdir())[:5] for path in sorted(wnid.iterdir())[:30]]
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB").resize((96, 96))) for path in paths])
    spec = BACKBONES["efficientnet_lite0.in1k"]
    backbone = load_torch_backbone(spec.name)
    x = (torch.from_numpy(pixels).float() - torch.tensor(spec.mean)) / torch.tensor(spec.std)
    with torch.no_grad():
        X = backbone(x.permute(0, 3, 1, 2)).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        temi = TEMI(5, n_heads=4, random_state=0, device="cpu").fit(X)
        options = {"mean": spec.mean, "std": spec.std, "n_epochs": 3, "batch_size": 32, "augment": True}
        tuned = fine_tune(temi, backbone, pixels, **options, random_state=0, device="cpu")
    assert tuned.temi.loss_history_[-1].mean() < tuned.temi.loss_history_[0].mean()
    assert not torch.equal(tuned.backbone.weights[0], backbone.weights[0])
    assert clustering_accuracy(np.repeat(np.arange(5), 30), tuned.temi.labels_) > 0.9
