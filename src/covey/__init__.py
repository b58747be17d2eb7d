"""Cluster images that nobody has labeled.

Start reading at `covey.pipeline`: the walk from a folder of images to a partition in a project. Estimators with
scikit-learn's contract are in `covey.cluster`; they know arrays only and can be used without a project.
"""

__version__ = "0.1.0"
