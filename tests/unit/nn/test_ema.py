import torch
from torch import nn

from covey.nn import ClassPrior, update_average


def test_the_average_follows():
    teacher, student = nn.Linear(2, 1), nn.Linear(2, 1)
    expected = 0.9 * teacher.weight.detach() + 0.1 * student.weight.detach()
    update_average(teacher, student, momentum=0.9)
    torch.testing.assert_close(teacher.weight.detach(), expected)


def test_the_student_stays():
    teacher, student = nn.Linear(2, 1), nn.Linear(2, 1)
    before = student.weight.detach().clone()
    update_average(teacher, student, momentum=0.5)
    torch.testing.assert_close(student.weight.detach(), before)


def test_prior_starts_uniform_and_stays_a_distribution():
    prior = ClassPrior(2, 4, momentum=0.9, device=torch.device("cpu"))
    torch.testing.assert_close(prior.mean, torch.full((2, 4), 0.25))
    prior.update(torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0)).log_softmax(-1))
    torch.testing.assert_close(prior.mean.sum(-1), torch.ones(2))


def test_the_log_prior_of_a_class_that_is_never_met_is_finite():
    prior = ClassPrior(1, 2, momentum=0.0, device=torch.device("cpu"))
    assert torch.isfinite(prior.update(torch.tensor([[[0.0, -500.0]]]))).all()
