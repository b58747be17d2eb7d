"""Images: finding them, reading them, and bringing them to a backbone's size.

Start reading at `scan_images` (folders to records) and `read_image` (one file to upright RGB pixels). Pillow lives here
and torch never does. Files come in; records, images and byte arrays go out.
"""

from covey.images._augment import Augmentation, View, ViewDraw, preprocess_view
from covey.images._decode._loaded_images import DecodedImage, Note
from covey.images._decode._memory_budget import MemoryBudget, default_budget_bytes, limit_reading_memory, reading_budget
from covey.images._find import STDIN
from covey.images._formats import MAX_PIXELS, MIN_SIDE_PX, PICTURE_SUFFIXES
from covey.images._globs import natural_key
from covey.images._pack import PackedImages, pack_images
from covey.images._preprocess import decode_size, preprocess
from covey.images._read import TRANSIENT_CODES, hash_pixels, read_image, read_recorded
from covey.images._sample import sample_images
from covey.images._scan_folders import ScanReport, scan_images
from covey.images._thumbnails import encode_thumbnail, has_thumbnail, thumbnail_path, write_thumbnail

__all__ = [
    "scan_images",
    "ScanReport",
    "STDIN",
    "natural_key",
    "read_image",
    "read_recorded",
    "hash_pixels",
    "DecodedImage",
    "Note",
    "TRANSIENT_CODES",
    "MemoryBudget",
    "reading_budget",
    "limit_reading_memory",
    "default_budget_bytes",
    "decode_size",
    "preprocess",
    "Augmentation",
    "View",
    "ViewDraw",
    "preprocess_view",
    "pack_images",
    "PackedImages",
    "write_thumbnail",
    "has_thumbnail",
    "encode_thumbnail",
    "thumbnail_path",
    "sample_images",
    "PICTURE_SUFFIXES",
    "MIN_SIDE_PX",
    "MAX_PIXELS",
]
