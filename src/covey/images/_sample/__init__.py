"""Images to try covey with: `_pictures` writes them, `_openmoji` draws one kind of them."""

from covey.images._sample._pictures import sample_images

__all__ = ["sample_images"]
