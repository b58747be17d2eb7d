"""Ways to search: name to ``"module:attribute"``."""

from covey.registry import Registry

SEARCH_ENGINES = Registry(
    "search engine",
    "covey.search",
    {"exact": "covey.search._exact_search:ExactSearch", "usearch": "covey.search._usearch:USearch"},
)
