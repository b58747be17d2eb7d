"""What the server answers to who asks for something that it does not give."""

import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covey.gallery.live._controls import Choice

__all__ = ["RefusalError", "RejectedEditError", "json_bytes", "plain_page"]


class RefusalError(Exception):
    """A request is refused.

    Parameters
    ----------
    status : int
        HTTP status.
    code : str
        One word for programs.
    message : str
        What came, what is allowed, what to do.
    allowed : object, optional
        What can be done in place of it.
    headers : sequence of (str, str)
        Further headers, ``Allow`` for instance.
    """

    def __init__(
        self, status: int, code: str, message: str, allowed: Any = None, headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.allowed, self.headers = status, code, message, allowed, headers

    def to_dict(self) -> dict[str, Any]:
        """Return the refusal as programs read it."""
        told = {"ok": False, "status": self.status, "error": self.code, "message": self.message}
        return told if self.allowed is None else {**told, "allowed": self.allowed}


class RejectedEditError(RefusalError):
    """An edit that was understood and refused, with ways out."""

    def __init__(self, refusal: RefusalError, choices: "Sequence[Choice]" = (), back: str = "") -> None:
        super().__init__(refusal.status, refusal.code, refusal.message, refusal.allowed)
        self.choices, self.back = choices, back


def json_bytes(value: Any) -> bytes:
    """Return JSON in UTF-8; a name with half a surrogate pair is escaped, NaN is an error."""
    return json.dumps(value, allow_nan=False).encode("ascii")


def plain_page(title: str, message: str) -> bytes:
    """Return a page without a link and a style, for who has no key and must not learn anything else."""
    title, message = escape(title), escape(message)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>{message}</p></html>\n"
    ).encode("utf-8", "replace")
