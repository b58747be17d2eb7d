"""A page of the gallery as HTML (Jinja2)."""

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from covey.errors import InvalidValueError
from covey.gallery._curve import read_beta_sweep, read_curve
from covey.gallery._pages import Page, is_even

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["draw_beta_sweep", "draw_coding_length", "render_page"]

# Nothing but files from beside the page: no network, no inline script, no inline style, no form, no frame.
# 'self' covers a gallery on a web server; a page opened from disk needs the scheme by name in some browsers.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self' file:; style-src 'self' file:; script-src 'self' file:; "
    "base-uri 'none'; form-action 'none'"
)


def render_page(page: Page) -> str:
    """Turn a page into HTML.

    Parameters
    ----------
    page : Page
        Any page of `covey.gallery`.

    Returns
    -------
    html : str
        A whole document; all text escaped.
    """
    names = [page.template] if page.controls is None else [f"live/{page.template}", page.template]
    template = _environment().select_template(names)
    return template.render(page=page, site=page.site, root=page.links.root, csp=CONTENT_SECURITY_POLICY)


def draw_beta_sweep(sweep: Mapping[str, Any]) -> str:
    """Draw how TEMI's β was chosen, both entropies over β.

    Parameters
    ----------
    sweep : mapping
        What `covey.cluster.BetaSweep.to_dict` gives.

    Returns
    -------
    svg : str
        A whole SVG document, for a file or a notebook.

    Raises
    ------
    InvalidValueError
        If fewer than two β were tried.
    """
    curve = read_beta_sweep(sweep)
    if curve is None:
        raise InvalidValueError("One β makes no curve; give select_beta at least two.")
    return _environment().get_template("sweep.svg").render(curve=curve, by="β", title="The choice of β")


def draw_coding_length(curve: Mapping[str, Any]) -> str:
    """Draw the coding length over the number of clusters, and the labels' part of it.

    Parameters
    ----------
    curve : mapping
        What `covey.selection.CodingLengthCurve.to_dict` gives.

    Returns
    -------
    svg : str
        A whole SVG document, for a file or a notebook. Shaded are the numbers that save nearly as much as the best.

    Raises
    ------
    InvalidValueError
        If fewer than two numbers were tried.
    """
    drawn = read_curve(curve)
    if drawn is None:
        raise InvalidValueError(
            "One number of clusters makes no curve; give coding_length_curve at least one beside 1."
        )
    title = "The coding length over the number of clusters"
    return _environment().get_template("sweep.svg").render(curve=drawn, by="number of clusters", title=title)


@cache
def _environment() -> "Environment":
    """Return the templates; made once, since compiling them takes longer than filling one."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - a light import for those who only read pages

    environment = Environment(
        loader=PackageLoader("covey.gallery"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["count"] = _count
    environment.filters["score"] = _score
    environment.filters["percent"] = _percent
    environment.filters["plural"] = _plural
    environment.filters["capitalize_first"] = _capitalize_first
    environment.tests["even"] = is_even
    return environment


def _count(number: int) -> str:
    """Write 12345 as ``12,345``."""
    return f"{number:,}"


def _score(value: float) -> str:
    """Write a score with two digits, and nothing as 0.00 on whichever side it lies; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return f"{round(value, 2) + 0.0:.2f}"


def _percent(share: float) -> str:
    """Write a share of the whole, never a nought for something."""
    return "under 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"


def _capitalize_first(text: str) -> str:
    """Begin a text with a capital letter, and leave the rest, names among it, as it is."""
    return text[:1].upper() + text[1:]


def _plural(number: int, one: str, many: str) -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"
