"""Adapters for models that describe images: a function, or another program.

covey brings no captioning model and calls no service. What fulfils `covey.types.Captioner` can name clusters, through
`covey.naming.name_from_captions`; these two adapters let a local model do so without a package of its own.
"""

import io
import subprocess
from collections.abc import Callable, Sequence

from PIL import Image

from covey.errors import ModelError
from covey.types import ByteArray

_TIMEOUT_S = 120.0


class CallableCaptioner:
    """A captioner made of a function.

    Parameters
    ----------
    function : callable
        Takes one image ``(h, w, 3)`` uint8 and returns its caption.

    Examples
    --------
    >>> import numpy as np
    >>> captioner = CallableCaptioner(lambda image: "a dark image" if image.mean() < 128 else "a bright image")
    >>> captioner.caption([np.zeros((4, 4, 3), dtype=np.uint8)])
    ['a dark image']
    """

    def __init__(self, function: Callable[[ByteArray], str]) -> None:
        self._function = function

    def caption(self, images: Sequence[ByteArray]) -> list[str]:
        """Return one caption for each image.

        Parameters
        ----------
        images : sequence of ndarray of shape (h, w, 3), dtype uint8
            Images of any size.

        Returns
        -------
        captions : list of str
            In their order, each on one line.

        Raises
        ------
        ModelError
            If the function returns something else than text.
        """
        captions = [self._function(image) for image in images]
        for caption in captions:
            if not isinstance(caption, str):
                raise ModelError(f"The captioner returned {caption!r}; it must return text.")
        return [" ".join(caption.split()) for caption in captions]


class CommandCaptioner:
    """A captioner that is another program on this machine: it reads a PNG and writes a caption.

    Parameters
    ----------
    command : sequence of str
        Program and arguments; no shell is involved. The image is its standard input, the caption what it prints.
    timeout_s : float, default=120.0
        Seconds that one image may take.
    """

    def __init__(self, command: Sequence[str], *, timeout_s: float = _TIMEOUT_S) -> None:
        self._command = list(command)
        self._timeout_s = timeout_s

    def caption(self, images: Sequence[ByteArray]) -> list[str]:
        """Return one caption for each image; the program runs once for each.

        Parameters
        ----------
        images : sequence of ndarray of shape (h, w, 3), dtype uint8
            Images of any size.

        Returns
        -------
        captions : list of str
            In their order, each on one line.

        Raises
        ------
        ModelError
            If the program cannot be started, fails, takes too long or prints no text.
        """
        return [self._caption_one(image) for image in images]

    def _caption_one(self, image: ByteArray) -> str:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, format="PNG")
        program = self._command[0] if self._command else ""
        try:
            done = subprocess.run(  # noqa: S603 - the user's own program, and no shell
                self._command, input=stream.getvalue(), capture_output=True, timeout=self._timeout_s, check=True
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"The captioner {program!r} took more than {self._timeout_s:g} seconds.") from error
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines()
            raise ModelError(
                f"The captioner {program!r} ended with status {error.returncode}: {said[-1] if said else 'no message'}"
            ) from error
        except (OSError, IndexError) as error:
            raise ModelError(f"The captioner {program!r} cannot be started: {error}.") from error
        caption = " ".join(done.stdout.decode(errors="replace").split())
        if not caption:
            raise ModelError(f"The captioner {program!r} printed nothing; it must print a caption.")
        return caption
