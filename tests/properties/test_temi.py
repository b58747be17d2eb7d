"""What must not change TEMI's losses: the names of clusters, the order of pairs, which heads run together."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from covey.objectives import distilled_scan_loss, pair_weights, scan_loss, temi_loss

seeds = st.integers(0, 2**31 - 1)
betas = st.floats(0.51, 1.0)
quick = settings(max_examples=50, deadline=None)


def draw(seed, n_heads=3, batch=6, n_clusters=4):
    generator = torch.Generator().manual_seed(seed)
    log_p = torch.randn(3, n_heads, batch, n_clusters, generator=generator, dtype=torch.float64)
    log_s, log_t, other = (5 * log_p).log_softmax(-1)
    weight = pair_weights(log_t, other).mean(dim=0)
    return log_s, log_t, other[:, 0], weight, generator


@quick
@given(seeds, betas)
def test_names_of_clusters_do_not_matter(seed, beta):
    log_s, log_t, log_q, weight, generator = draw(seed)
    order = torch.randperm(4, generator=generator)
    torch.testing.assert_close(
        temi_loss(log_s[..., order], log_t[..., order], log_q[..., order], weight, beta=beta),
        temi_loss(log_s, log_t, log_q, weight, beta=beta),
    )


@quick
@given(seeds, betas)
def test_order_of_pairs_does_not_matter(seed, beta):
    log_s, log_t, log_q, weight, generator = draw(seed)
    order = torch.randperm(6, generator=generator)
    torch.testing.assert_close(
        temi_loss(log_s[:, order], log_t[:, order], log_q, weight[order], beta=beta),
        temi_loss(log_s, log_t, log_q, weight, beta=beta)[:, order],
    )
    torch.testing.assert_close(scan_loss(log_s[:, order], log_t[:, order]), scan_loss(log_s, log_t))


@quick
@given(seeds, betas, st.integers(1, 2))
def test_heads_in_chunks_give_what_all_give(seed, beta, cut):
    log_s, log_t, log_q, weight, _ = draw(seed)
    parts = [
        temi_loss(log_s[part], log_t[part], log_q[part], weight, beta=beta) for part in (slice(cut), slice(cut, None))
    ]
    torch.testing.assert_close(torch.cat(parts), temi_loss(log_s, log_t, log_q, weight, beta=beta))


@quick
@given(seeds)
def test_weights_are_probabilities_and_symmetric(seed):
    log_s, log_t, *_ = draw(seed)
    weight = pair_weights(log_s, log_t)
    assert ((weight >= 0) & (weight <= 1 + 1e-12)).all()
    torch.testing.assert_close(weight, pair_weights(log_t, log_s))


@quick
@given(seeds, st.floats(0.0, 10.0))
def test_scan_in_the_frame_is_scan_on_average(seed, entropy_weight):
    log_s, log_t, *_ = draw(seed)
    torch.testing.assert_close(
        distilled_scan_loss(log_s, log_t, entropy_weight=entropy_weight).mean(dim=1),
        scan_loss(log_s, log_t, entropy_weight=entropy_weight),
    )
