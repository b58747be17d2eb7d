"""Names that a person gives to clusters and groups: what is allowed, and when two are the same."""

import unicodedata

from covey.curation._state import EditError

MAX_NAME_LENGTH = 120
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def name_key(name: str) -> str:
    """Return the form in which two names are compared: NFC, without case.

    Parameters
    ----------
    name : str
        A name.

    Returns
    -------
    key : str
        Equal for two names that count as the same.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_name(name: object, *, what: str = "cluster", is_empty_allowed: bool = False) -> str:
    """Return a name as it is stored: NFC, without space at its ends.

    Parameters
    ----------
    name : object
        What was given.
    what : str, default="cluster"
        What is named, for the message.
    is_empty_allowed : bool, default=False
        Whether an empty name has a meaning.

    Returns
    -------
    name : str
        At most 120 characters.

    Raises
    ------
    EditError
        If it is not text, empty, too long, or has characters that cannot be seen.
    """
    if not isinstance(name, str):
        raise EditError("bad_request", f"The name of a {what} is {name!r}; it must be text.")
    text = unicodedata.normalize("NFC", name).strip()
    if not text and not is_empty_allowed:
        raise EditError("bad_request", f"The name of a {what} is empty; give at least one visible character.")
    if len(text) > MAX_NAME_LENGTH:
        raise EditError(
            "bad_request",
            f"The name of a {what} has {len(text)} characters; {MAX_NAME_LENGTH} are allowed, shorten it.",
        )
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") or ord(character) in _BIDI:
            raise EditError(
                "bad_request",
                f"The name of a {what} has the invisible character U+{ord(character):04X}; leave it out.",
            )
    return text
