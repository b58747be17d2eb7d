"""Random changes of pictures: mirrored, moved, nothing else."""

import torch

from covey.nn import flip_and_shift


def pictures(batch=64, height=8, width=16):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_without_a_shift_half_of_the_pictures_are_mirrored():
    x = pictures(400)
    found = flip_and_shift(x, generator=torch.Generator().manual_seed(1), max_shift=0)
    is_same = (found == x).flatten(1).all(1)
    is_mirrored = (found == x.flip(-1)).flatten(1).all(1)
    assert (is_same ^ is_mirrored).all()
    assert 150 < is_mirrored.sum() < 250


def test_a_shift_moves_by_at_most_its_share_and_reflects_at_the_border():
    x = pictures()
    found = flip_and_shift(x, generator=torch.Generator().manual_seed(1), max_shift=0.125)
    assert found.shape == x.shape
    moves = set()
    for picture, result in zip(x, found, strict=True):
        matches = [
            (down, right, mirrored)
            for mirrored in (False, True)
            for down in (-1, 0, 1)
            for right in (-2, -1, 0, 1, 2)
            if torch.equal(result, moved(picture.flip(-1) if mirrored else picture, down, right))
        ]
        assert len(matches) == 1
        moves.add(matches[0][:2])
    assert len(moves) == 15


def moved(picture, down, right):
    """Look each pixel up where it came from; beyond the border the picture is mirrored."""
    _, height, width = picture.shape

    def reflect(position, size):
        position = abs(position)
        return position if position < size else 2 * (size - 1) - position

    rows = [reflect(row + down, height) for row in range(height)]
    columns = [reflect(column + right, width) for column in range(width)]
    return picture[:, rows][:, :, columns]


def test_the_same_generator_gives_the_same():
    first, second = (flip_and_shift(pictures(), generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
