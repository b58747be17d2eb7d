"""Adapters for models that describe pictures, with functions and programs that need no network."""

import sys

import numpy as np
import pytest

from covey.errors import ModelError
from covey.text import CallableCaptioner, CommandCaptioner

IMAGES = [np.full((6, 8, 3), value, dtype=np.uint8) for value in (10, 250)]
READS_PNG = "import sys, io; from PIL import Image; i = Image.open(io.BytesIO(sys.stdin.buffer.read())); "


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    "captioner",
    [
        CallableCaptioner(lambda image: f"{image.shape[1]} wide\n and {image[0, 0, 0]} bright"),
        CommandCaptioner(program(READS_PNG + "print(i.width, 'wide\\n and', i.getpixel((0, 0))[0], 'bright')")),
    ],
    ids=["callable", "command"],
)
def test_one_line_for_each_picture(captioner) -> None:
    assert captioner.caption(IMAGES) == ["8 wide and 10 bright", "8 wide and 250 bright"]
    assert captioner.caption([]) == []


@pytest.mark.parametrize(
    ("captioner", "words"),
    [
        (CallableCaptioner(lambda image: None), "returned None; it must return text"),
        (CommandCaptioner(program("import sys; sys.exit('out of memory')")), "status 1: out of memory"),
        (CommandCaptioner(program("pass")), "printed nothing"),
        (CommandCaptioner(["/no/such/program"]), "cannot be started"),
        (CommandCaptioner([]), "cannot be started"),
        (CommandCaptioner(program("import time; time.sleep(60)"), timeout_s=0.2), "took more than 0.2 seconds"),
    ],
)
def test_what_goes_wrong_is_told(captioner, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        captioner.caption(IMAGES[:1])
