"""The exceptions that covey raises for mistakes a person can mend.

Each is also the built-in that a caller expects. Wrong values are plain `ValueError` or `TypeError`, as in
scikit-learn. A message says what came, what is allowed and what to do next.
"""


class CoveyError(Exception):
    """Base of all errors that the command line shows as one line."""


class UnknownNameError(CoveyError, KeyError):
    """A name is not in its registry."""

    def __str__(self) -> str:
        """Return the message itself, which `KeyError` would put in quotes."""
        return str(self.args[0]) if self.args else ""


class InvalidValueError(CoveyError, ValueError):
    """A value that a person gave is outside what is allowed."""


class MissingExtraError(CoveyError, ImportError):
    """An optional dependency is not installed."""


class ImageReadError(CoveyError, OSError):
    """An image cannot be read.

    Parameters
    ----------
    code : str
        One of the codes of `skipped.csv`, for example ``"ERROR_CORRUPT_IMAGE"``.
    message : str
        What is wrong, for a person.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Let it travel between processes, code and message."""
        return type(self), (self.code, str(self))


class ProjectError(CoveyError, RuntimeError):
    """A project folder cannot be opened, is in use, or does not hold what was asked for."""


class DatasetError(CoveyError, RuntimeError):
    """A data set is not where it was looked for, or not laid out as it must be."""


class ModelError(CoveyError, RuntimeError):
    """A model's weights are missing, damaged or of another kind."""


class ConvergenceError(CoveyError, ArithmeticError):
    """A training diverged: its loss is NaN or infinite."""
