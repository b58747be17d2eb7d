"""The old home of `covey.cluster._heads`."""

from covey.cluster._heads import HeadClusterer, RowScaling, StackClusterer

__all__ = ["HeadClusterer", "RowScaling", "StackClusterer"]
