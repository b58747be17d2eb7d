"""From what a model says of images to the words for each cluster (arrays and strings only).

`name_by_hierarchy` takes the probabilities of a classifier and a hierarchy of its classes (`_hierarchy`),
`name_clusters` vectors of images and of words in one space, and `name_from_captions` what a captioner said of each
image (`_votes`). All weigh words against the other clusters, and give each cluster words of its own, or none
(`_choice`).
"""

from covey.naming._chance import MAX_CHANCE, word_chances, words_separate
from covey.naming._hierarchy import MIN_SHARE, class_shares, name_by_hierarchy
from covey.naming._votes import DEFAULT_THRESHOLD, name_clusters, name_from_captions, sample_rows

__all__ = [
    "DEFAULT_THRESHOLD",
    "MAX_CHANCE",
    "MIN_SHARE",
    "class_shares",
    "name_by_hierarchy",
    "name_clusters",
    "name_from_captions",
    "sample_rows",
    "word_chances",
    "words_separate",
]
