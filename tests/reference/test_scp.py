"""SCP's loss against twins written out from the equations."""

import math

import pytest
import torch

from covey.objectives import confidence_loss, scp_loss, view_cross_entropy

BATCH, N_CLUSTERS = 6, 3


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(5)
    return (2 * torch.randn(2, BATCH, N_CLUSTERS, generator=generator, dtype=torch.float64)).log_softmax(-1)


def test_cross_entropy_is_equation_3_over_the_batch(views):
    ya, log_yb = views[0].exp().tolist(), views[1].tolist()
    total = -sum(ya[i][k] * log_yb[i][k] for i in range(BATCH) for k in range(N_CLUSTERS))
    assert view_cross_entropy(*views).item() == pytest.approx(total / BATCH, rel=1e-12)


def test_both_readings_of_equation_4(views):
    ya, yb = (v.exp().tolist() for v in views)
    dots = [sum(ya[i][k] * yb[i][k] for k in range(N_CLUSTERS)) for i in range(BATCH)]
    inside = confidence_loss(*views, reading="log_of_mean").item()
    outside = confidence_loss(*views, reading="mean_of_log").item()
    assert inside == pytest.approx(-math.log(sum(dots)) + math.log(BATCH), rel=1e-12)
    assert outside == pytest.approx(-sum(map(math.log, dots)) / BATCH, rel=1e-12)
    assert inside <= outside


def test_total_is_equation_6(views):
    ya, yb = (v.exp().tolist() for v in views)
    entropy = 0.0
    for y in (ya, yb):
        for k in range(N_CLUSTERS):
            p = sum(y[i][k] for i in range(BATCH)) / BATCH
            entropy -= p * math.log(p)
    expected = view_cross_entropy(*views).item() + confidence_loss(*views).item() - 2.0 * entropy
    assert scp_loss(*views, alpha=2.0).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("reading", ["mean_of_log", "log_of_mean"])
def test_gradients(reading):
    generator = torch.Generator().manual_seed(6)
    logits = torch.randn(2, BATCH, N_CLUSTERS, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: scp_loss(x[0].log_softmax(-1), x[1].log_softmax(-1), alpha=2.0, reading=reading), (logits,)
    )


def test_uniform_collapsed_and_balanced_have_the_known_values():
    k, alpha = 4, 2.0
    uniform = torch.full((8, k), -math.log(k))
    collapsed = torch.where(torch.arange(k) == 0, 0.0, -200.0).expand(8, k)
    balanced = torch.where(torch.eye(k, dtype=bool).repeat(2, 1), 0.0, -200.0)
    assert scp_loss(uniform, uniform, alpha=alpha).item() == pytest.approx(2 * (1 - alpha) * math.log(k), rel=1e-5)
    assert scp_loss(collapsed, collapsed, alpha=alpha).item() == pytest.approx(0.0, abs=1e-6)
    assert scp_loss(balanced, balanced, alpha=alpha).item() == pytest.approx(-2 * alpha * math.log(k), rel=1e-5)


def test_a_dead_cluster_gives_finite_gradients():
    logits = torch.tensor([[0.0, 1.0, -500.0], [1.0, 0.0, -500.0]], requires_grad=True)
    scp_loss(logits.log_softmax(-1), logits.log_softmax(-1), alpha=1.0).backward()
    assert torch.isfinite(logits.grad).all()


def test_another_reading_is_refused(views):
    with pytest.raises(ValueError, match="mean_of_log"):
        confidence_loss(*views, reading="sum")


def test_different_shapes_are_refused(views):
    with pytest.raises(ValueError, match="one shape"):
        scp_loss(views[0], views[1][:3], alpha=1.0)
