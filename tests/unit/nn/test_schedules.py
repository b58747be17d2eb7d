import pytest

from covey.nn import learning_rate_schedule


def test_warm_up_rises_to_the_peak_and_stays():
    rate_at = learning_rate_schedule(1.0, 100, warmup=0.1)
    rates = [rate_at(step) for step in range(100)]
    assert rates[0] > 0
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == [1.0] * 90


def test_cosine_falls_to_zero():
    rate_at = learning_rate_schedule(2.0, 100, decay="cosine")
    assert rate_at(0) == 2.0
    assert rate_at(50) == pytest.approx(1.0)
    assert rate_at(100) == pytest.approx(0.0)


def test_one_step_has_a_rate():
    assert learning_rate_schedule(1.0, 1, warmup=1.0)(0) > 0


def test_another_decay_is_refused():
    with pytest.raises(ValueError, match="'constant' or 'cosine'"):
        learning_rate_schedule(1.0, 10, decay="linear")
