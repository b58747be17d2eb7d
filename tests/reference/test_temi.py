"""TEMI's losses against twins written out from the equations in float64, one number at a time."""

import math

import numpy as np
import pytest
import torch

from covey.cluster._temi import ClassPrior
from covey.objectives import distilled_scan_loss, pair_weights, pointwise_mutual_information, temi_loss

N_HEADS, BATCH, N_CLUSTERS = 3, 5, 4


@pytest.fixture
def log_p():
    """Log-probabilities of students, of teachers and of a prior."""
    generator = torch.Generator().manual_seed(7)

    def draw(*shape):
        return (3 * torch.randn(*shape, generator=generator, dtype=torch.float64)).log_softmax(dim=-1)

    return draw(N_HEADS, BATCH, N_CLUSTERS), draw(N_HEADS, BATCH, N_CLUSTERS), draw(N_HEADS, N_CLUSTERS)


def naive_pmi(q_s, q_t, q, beta):
    return math.log(sum((q_s[c] * q_t[c]) ** beta / q[c] for c in range(len(q))))


@pytest.mark.parametrize("beta", [0.55, 0.6, 1.0])
def test_pmi_is_equation_8(log_p, beta):
    q_s, q_t, q = (t.exp().tolist() for t in log_p)
    expected = [[naive_pmi(q_s[h][i], q_t[h][i], q[h], beta) for i in range(BATCH)] for h in range(N_HEADS)]
    np.testing.assert_allclose(pointwise_mutual_information(*log_p, beta=beta), expected, rtol=1e-12)


def test_pair_weights_are_equation_9(log_p):
    first, second = (t.exp().tolist() for t in log_p[:2])
    expected = [
        [sum(a * b for a, b in zip(first[h][i], second[h][i], strict=True)) for i in range(BATCH)]
        for h in range(N_HEADS)
    ]
    np.testing.assert_allclose(pair_weights(*log_p[:2]), expected, rtol=1e-12)


def test_temi_wpmi_and_pmi_differ_in_the_weight_alone(log_p):
    log_s, log_t, log_q = log_p
    pmi = pointwise_mutual_information(log_s, log_t, log_q, beta=0.6).numpy()
    own = pair_weights(log_t, log_t.flip(1)).numpy()
    ensemble = sum(own[h] for h in range(N_HEADS)) / N_HEADS
    for weight, expected in (
        (torch.from_numpy(ensemble), [[-ensemble[i] * pmi[h][i] for i in range(BATCH)] for h in range(N_HEADS)]),
        (torch.from_numpy(own), [[-own[h][i] * pmi[h][i] for i in range(BATCH)] for h in range(N_HEADS)]),
        (1.0, -pmi),
    ):
        np.testing.assert_allclose(temi_loss(log_s, log_t, log_q, weight, beta=0.6), expected, rtol=1e-12)


def test_scan_in_the_same_frame(log_p):
    q_s, q_t = (t.exp().tolist() for t in log_p[:2])
    for head in range(N_HEADS):
        mean = [sum(q_s[head][i][c] for i in range(BATCH)) / BATCH for c in range(N_CLUSTERS)]
        entropy = -sum(m * math.log(m) for m in mean)
        expected = [
            -math.log(sum(q_s[head][i][c] * q_t[head][i][c] for c in range(N_CLUSTERS))) - 4.0 * entropy
            for i in range(BATCH)
        ]
        found = distilled_scan_loss(*log_p[:2], entropy_weight=4.0)[head]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_prior_is_equation_6(log_p):
    prior = ClassPrior(N_HEADS, N_CLUSTERS, momentum=0.9, device=torch.device("cpu"))
    q = np.full((N_HEADS, N_CLUSTERS), 1 / N_CLUSTERS)
    for batch in log_p[:2]:
        q = 0.9 * q + 0.1 * batch.exp().mean(dim=1).numpy()
        np.testing.assert_allclose(prior.update(batch.float()).exp(), q, rtol=1e-5)


@pytest.mark.parametrize("beta", [0.6, 1.0])
def test_gradients(log_p, beta):
    logits = torch.randn(
        N_HEADS, BATCH, N_CLUSTERS, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True
    )
    weight = torch.rand(BATCH, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    _, log_t, log_q = log_p
    assert torch.autograd.gradcheck(
        lambda x: temi_loss(x.log_softmax(-1), log_t, log_q, weight, beta=beta), (logits,), raise_exception=True
    )
    assert torch.autograd.gradcheck(
        lambda x: distilled_scan_loss(x.log_softmax(-1), log_t, entropy_weight=4.0), (logits,), raise_exception=True
    )


def test_gradient_is_responsibility_minus_prediction(log_p):
    """The gradient in closed form, where r is what the logsumexp of equation 8 gives each class."""
    beta, (_, log_t, log_q) = 0.6, log_p
    logits = log_p[0].clone().requires_grad_()
    temi_loss(logits.log_softmax(-1), log_t, log_q, 1.0, beta=beta).sum().backward()
    r = (beta * (log_p[0] + log_t) - log_q[:, None]).softmax(-1)
    torch.testing.assert_close(logits.grad, -beta * (r - log_p[0].exp()))


def test_probabilities_that_underflow_give_finite_gradients():
    logits = torch.tensor([[[300.0, 0.0]]], requires_grad=True)
    log_t = torch.tensor([[[-300.0, 0.0]]]).log_softmax(-1)
    loss = temi_loss(logits.log_softmax(-1), log_t, torch.tensor([[-0.7, -0.7]]), 1.0, beta=0.6)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("sizes", [(4, 4, 4), (6, 3, 3)])
def test_theorem_1_known_pairs_make_the_known_classes_optimal(sizes):
    """With the true joint p(x, x') no classifier beats the one-hot classes; its value is the entropy of p(c)."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    n = len(labels)
    joint = torch.from_numpy((labels[:, None] == labels).astype(float) / np.array(sizes)[labels][:, None] / n)
    first, second = torch.nonzero(joint, as_tuple=True)
    p_pair = joint[first, second]

    def objective(log_q):
        log_prior = log_q.logsumexp(dim=0, keepdim=True) - math.log(n)
        pmi = pointwise_mutual_information(log_q[None, first], log_q[None, second], log_prior, beta=1.0)
        return (p_pair * pmi[0]).sum()

    shares = np.array(sizes) / n
    optimum = -(shares * np.log(shares)).sum()
    one_hot = torch.from_numpy(np.where(labels[:, None] == np.arange(3), 0.0, -60.0)).log_softmax(-1)
    assert objective(one_hot).item() == pytest.approx(optimum, abs=1e-9)

    best = -math.inf
    for seed in range(6):
        logits = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        logits.requires_grad_()
        optimizer = torch.optim.Adam([logits], lr=0.3)
        for _ in range(150):
            optimizer.zero_grad()
            value = objective(logits.log_softmax(-1))
            (-value).backward()
            optimizer.step()
            assert value.item() <= optimum + 1e-9
        if value.item() > best:
            best, found = value.item(), logits.argmax(-1).numpy()
    assert best == pytest.approx(optimum, abs=1e-3)
    np.testing.assert_array_equal(found[:, None] == found, labels[:, None] == labels)
