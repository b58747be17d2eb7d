"""From images' votes over a vocabulary to the words for each cluster (arrays and strings only).

`name_clusters` takes vectors of images and of words in one space; `name_from_captions` takes what a captioner said of
each image. Both count votes (`_votes`), weigh them against the neighbouring clusters, and give each cluster words of
its own (`_choice`).
"""

from covey.naming._votes import DEFAULT_THRESHOLD, name_clusters, name_from_captions, sample_rows

__all__ = ["DEFAULT_THRESHOLD", "name_clusters", "name_from_captions", "sample_rows"]
