"""Static pages that show a partition: they open from disk, without a server and without a network.

`write_gallery` is the whole of it. Behind it, `gallery_pages` turns a project into plain records, page by page, and
`render_page` turns a record into HTML; another front end can use the same records. May import the store and the
types, never torch; Jinja2 is imported when the first page is rendered.
"""

from covey.gallery._about import AboutPage
from covey.gallery._how_many import HowManyPage
from covey.gallery._pager import Pager
from covey.gallery._pages import Card, ClusterLink, ClusterPage, IndexPage, Page, Picture, UnsurePage
from covey.gallery._render import draw_beta_sweep, draw_coding_length, render_page
from covey.gallery._skipped import SkippedFile, SkippedGroup, SkippedPage
from covey.gallery._walk import gallery_pages, plan_walk
from covey.gallery._write import write_gallery

__all__ = [
    "write_gallery",
    "plan_walk",
    "gallery_pages",
    "render_page",
    "draw_beta_sweep",
    "draw_coding_length",
    "Page",
    "IndexPage",
    "ClusterPage",
    "UnsurePage",
    "SkippedPage",
    "AboutPage",
    "HowManyPage",
    "Card",
    "Picture",
    "ClusterLink",
    "Pager",
    "SkippedGroup",
    "SkippedFile",
]
