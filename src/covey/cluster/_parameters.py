"""Parameters of estimators, each declared once: its name, its type, its default and what it may be.

An estimator is a dataclass whose fields are its parameters::

    @parameters
    class TEMI(Clusterer):
        n_clusters: int = integer(10)
        _: KW_ONLY
        beta: float | Literal["auto"] = real(0.6, above=0.5, high=1.0, words=("auto",))
        n_epochs: int | None = integer(None, optional=True)

The dataclass writes the constructor that scikit-learn's contract asks for (it stores what it gets and checks nothing);
`check_parameters` checks all of them when `fit` begins.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeVar, dataclass_transform

import numpy as np

Estimator = TypeVar("Estimator")

_BOUND = "bound"


class Bound(NamedTuple):
    """What a parameter may be.

    Attributes
    ----------
    check : callable
        Takes the parameter's name and value; raises TypeError or ValueError with what came and what is allowed.
    allowed : str
        What is allowed, for messages and pages: "an integer of at least 1, or None".
    """

    check: Callable[[str, Any], None]
    allowed: str


@dataclass_transform(eq_default=False)
def parameters(estimator: type[Estimator]) -> type[Estimator]:
    """Make the constructor of an estimator from its annotated fields.

    Equality and representation stay scikit-learn's.
    """
    return dataclass(eq=False, repr=False)(estimator)


def check_parameters(estimator: Any) -> None:
    """Check every parameter of an estimator against its declaration.

    Parameters
    ----------
    estimator : Clusterer
        An instance of a class made by `parameters`.

    Raises
    ------
    TypeError
        If a parameter is of a type that is not allowed.
    ValueError
        If its value is out of bounds.
    """
    for declared in fields(estimator):
        bound = declared.metadata.get(_BOUND)
        if bound is not None:
            bound.check(declared.name, getattr(estimator, declared.name))


def integer(default: Any, *, minimum: int = 1, optional: bool = False, words: Sequence[str] = ()) -> Any:
    """Declare an integer of at least `minimum`; `optional` allows None, `words` further strings."""
    return _declare(
        default,
        lambda name, value: check_integer(name, value, minimum=minimum),
        f"an integer of at least {minimum}",
        optional=optional,
        words=words,
    )


def real(
    default: Any,
    *,
    low: float = 0.0,
    high: float = math.inf,
    above: float | None = None,
    optional: bool = False,
    words: Sequence[str] = (),
) -> Any:
    """Declare a finite number in [low, high], or in (above, high] if `above` is given."""
    start, is_open = (low, False) if above is None else (above, True)
    return _declare(
        default,
        lambda name, value: check_real(name, value, low=start, high=high, open_low=is_open),
        f"a number in {_interval(start, high, open_low=is_open)}",
        optional=optional,
        words=words,
    )


def choice(default: Any, of: Sequence[str], *, optional: bool = False) -> Any:
    """Declare one of several strings."""
    return _declare(
        default, lambda name, value: check_choice(name, value, of), f"one of {', '.join(of)}", optional=optional
    )


def flag(default: bool) -> Any:
    """Declare True or False."""
    return _declare(default, check_flag, "True or False")


def checked(default: Any, by: Callable[[str, Any], None], allowed: str) -> Any:
    """Declare a parameter with a check of its own, which takes its name and value and raises."""
    return _declare(default, by, allowed)


def free(default: Any) -> Any:
    """Declare a parameter that is checked where it is used, such as a device or a seed."""
    return field(default=default)


def allowed_values(estimator: type) -> dict[str, str]:
    """Describe what each parameter of an estimator may be, by name; those that are checked elsewhere are left out."""
    return {
        declared.name: declared.metadata[_BOUND].allowed
        for declared in fields(estimator)
        if _BOUND in declared.metadata
    }


def check_integer(name: str, value: Any, *, minimum: int) -> int:
    """Return an integer of at least `minimum`; `True` is not one."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}; it must be an integer of at least {minimum}.")
    if value < minimum:
        raise ValueError(f"{name} is {value}; it must be at least {minimum}.")
    return int(value)


def check_real(name: str, value: Any, *, low: float = 0.0, high: float = math.inf, open_low: bool = False) -> float:
    """Return a finite number in [low, high], or in (low, high] if `open_low`."""
    allowed = _interval(low, high, open_low=open_low)
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {value!r}; it must be a number in {allowed}.")
    if not (math.isfinite(value) and low <= value <= high) or (open_low and value == low):
        raise ValueError(f"{name} is {value}; it must lie in {allowed}.")
    return float(value)


def check_choice(name: str, value: Any, of: Sequence[str]) -> None:
    """Raise unless a string is among the choices."""
    if not isinstance(value, str) or value not in of:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(of)}.")


def check_flag(name: str, value: Any) -> None:
    """Raise unless a value is True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}; it must be True or False.")


def _interval(low: float, high: float, *, open_low: bool) -> str:
    return f"{'(' if open_low else '['}{low:g}, {high:g}]"


def _declare(
    default: Any,
    check: Callable[[str, Any], Any],
    allowed: str,
    *,
    optional: bool = False,
    words: Sequence[str] = (),
) -> Any:
    """Make the dataclass field of a parameter."""
    others = [*(repr(word) for word in words), *(["None"] if optional else [])]

    def check_all(name: str, value: Any) -> None:
        if (optional and value is None) or (isinstance(value, str) and value in words):
            return
        try:
            check(name, value)
        except (TypeError, ValueError) as error:
            if not others:
                raise
            raise type(error)(f"{str(error).removesuffix('.')}, or {' or '.join(others)}.") from None

    return field(default=default, metadata={_BOUND: Bound(check_all, ", or ".join([allowed, *others]))})
