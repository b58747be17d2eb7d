"""Settings of the site, which `make docs` builds from these pages and from the docstrings, without the network."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

import covey

sys.path.insert(0, str(Path(__file__).parent))

from make_api import write_pages

ROOT = Path(__file__).resolve().parents[1]

project = "covey"
author = "The authors of covey"
copyright = "the authors of covey, Apache-2.0"  # noqa: A001 - the name that Sphinx reads
version = release = covey.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
suppress_warnings = ["ref.citation"]  # a module's docstring has the references of all its functions
# A name in single backticks links to what it names where that is public, and is shown as code where it is not.
default_role = "py:obj"
highlight_language = "none"  # equations and file trees; other blocks name their language

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # numpydoc's type lines also give shapes
numpydoc_show_class_members = False
toc_object_entries = False  # every object has a heading

html_theme = "furo"
html_title = "covey"
html_static_path = ["_static"]
html_css_files = ["covey.css"]
html_copy_source = False


def escape_markup(*event: Any) -> None:
    """Escape ``|x|`` and ``labels_`` in a docstring, which are a norm and a name to covey and markup to docutils."""
    lines: list[str] = event[-1]
    for i, line in enumerate(lines):
        parts = re.split(r"(``.*?``|`.*?`_*)", line)  # every second part is literal or a link
        parts[::2] = [re.sub(r"(?<!\\)\||(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
        lines[i] = "".join(parts)


def link_sources(app: Sphinx, doctree: nodes.document) -> None:
    """Let links from the pages to Python files of the package lead to the listings in the site."""
    page = app.env.docname
    for node in list(doctree.findall(addnodes.download_reference)):
        path = Path(os.path.normpath(Path(app.env.doc2path(page)).parent / node["reftarget"]))
        if path.suffix == ".py" and path.is_relative_to(ROOT / "src"):
            module = path.relative_to(ROOT / "src").with_suffix("").as_posix().removesuffix("/__init__")
            uri = app.builder.get_relative_uri(page, f"_modules/{module}")
            node.replace_self(nodes.reference("", "", *node.children, refuri=uri, internal=True))


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Let names such as `covey.cluster.TEMI` in the pages lead to the Python API, where it has them."""
    if app.env.docname.startswith("reference/api/"):
        return  # docstrings link by their own markup
    for node in list(doctree.findall(nodes.literal)):
        text = node.astext()
        if re.fullmatch(r"covey(\.\w+)+", text) and not isinstance(
            node.parent, nodes.reference | addnodes.pending_xref
        ):
            target = addnodes.pending_xref("", refdomain="py", reftype="obj", reftarget=text, refdoc=app.env.docname)
            node.replace_self(target)
            target += node


def keep_spreads(_: Sphinx, doctree: nodes.document) -> None:
    """Write numbers in tables such as 95.6 ± 0.1 with spaces at which no line breaks."""
    for cell in doctree.findall(nodes.entry):
        for text in list(cell.findall(nodes.Text)):
            text.parent.replace(text, nodes.Text(text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")))


def setup(app: Sphinx) -> None:
    """Connect the steps that are covey's own."""
    app.connect("config-inited", lambda *_: write_pages())
    app.connect("autodoc-process-docstring", escape_markup, priority=900)  # after numpydoc
    app.connect("doctree-read", link_names, priority=100)
    app.connect("doctree-read", keep_spreads)
    app.connect("doctree-read", link_sources, priority=100)  # before Sphinx collects the files to download
