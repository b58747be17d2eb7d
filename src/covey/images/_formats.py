"""What an image file is: the suffixes that make one a candidate, the signatures that decide, the limits."""

from types import MappingProxyType
from typing import Final, NamedTuple

MIN_SIDE_PX: Final = 8
"""An image whose shorter side is below this shows nothing that could be clustered."""

MAX_PIXELS: Final = 2**28
"""Most pixels an image may have (16384 x 16384); decoding one so large takes about 1 GiB of memory."""

SIGNATURE_BYTES: Final = 64
"""How much of a file's beginning `sniff_format` looks at."""


class Format(NamedTuple):
    """A kind of file, recognized by its first bytes.

    `plugin` is the Pillow class that reads it, as ``"module:class"``; it is empty where covey reads none. `feature` is
    the part of Pillow that has to be compiled in; `hint` says what to do where the format cannot be read.
    """

    name: str
    plugin: str = ""
    feature: str = ""
    hint: str = "convert it to JPEG, PNG or TIFF first"


_REBUILD: Final = "this build of Pillow cannot read it: pip install --upgrade --force-reinstall pillow"
_DEVELOP: Final = "develop it to JPEG or TIFF first"

# A JPEG is always read as its first image: what `MPO` adds are previews and second eyes.
JPEG: Final = Format("JPEG", "PIL.JpegImagePlugin:JpegImageFile")
PNG: Final = Format("PNG", "PIL.PngImagePlugin:PngImageFile")
GIF: Final = Format("GIF", "PIL.GifImagePlugin:GifImageFile")
WEBP: Final = Format("WebP", "PIL.WebPImagePlugin:WebPImageFile", "webp", _REBUILD)
TIFF: Final = Format("TIFF", "PIL.TiffImagePlugin:TiffImageFile")
BMP: Final = Format("BMP", "PIL.BmpImagePlugin:BmpImageFile")
PNM: Final = Format("PNM", "PIL.PpmImagePlugin:PpmImageFile")
JPEG2000: Final = Format("JPEG 2000", "PIL.Jpeg2KImagePlugin:Jpeg2KImageFile", "jpg_2000", _REBUILD)
AVIF: Final = Format("AVIF", "PIL.AvifImagePlugin:AvifImageFile", "avif", _REBUILD)
HEIF: Final = Format("HEIF", "pi_heif:HeifImageFile", hint="pip install 'covey[heif]'")
RAW: Final = Format("camera raw", hint=_DEVELOP)
JPEG_XL: Final = Format("JPEG XL", "pillow_jxl.JpegXLImagePlugin:JXLImageFile", hint="pip install 'covey[jxl]'")
PHOTOSHOP: Final = Format("Photoshop", hint="export it as JPEG, PNG or TIFF first")
EXR: Final = Format("OpenEXR", hint="tone-map it to JPEG, PNG or TIFF first")
SVG: Final = Format("SVG", hint="it is a drawing, not a picture: render it to PNG first")

_SIGNATURES: Final = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", JPEG2000),
    (b"\xff\x4f\xff\x51", JPEG2000),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", JPEG_XL),
    (b"\xff\x0a", JPEG_XL),
    (b"8BPS", PHOTOSHOP),
    (b"v/1\x01", EXR),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIU\x00", RAW),  # Panasonic
    (b"IIRO", RAW),  # Olympus
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"FOVb", RAW),  # Sigma
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),
    (b"MM\x00+", TIFF),
    (b"<svg", SVG),
)

_ISO_BRANDS: Final = (
    (AVIF, (b"avif", b"avis")),
    (HEIF, (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")),
    (RAW, (b"crx ",)),  # Canon CR3
)

# fmt: off
_RAW_SUFFIXES: Final = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)
# fmt: on

UNREADABLE_SUFFIXES: Final = MappingProxyType(
    dict.fromkeys(_RAW_SUFFIXES, RAW) | {".exr": EXR, ".psb": PHOTOSHOP, ".psd": PHOTOSHOP, ".svg": SVG}
)
"""Suffixes of images that covey finds, of which it reads none but the previews of raw files; each with its format."""

# fmt: off
READABLE_SUFFIXES: Final = frozenset((
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2", ".jpc", ".jpe",
    ".jpeg", ".jpf", ".jpg", ".jpx", ".jxl", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
))
# fmt: on
"""Suffixes of the formats that covey reads (HEIF with the package ``pi-heif``)."""

RAW_SUFFIXES: Final = frozenset(_RAW_SUFFIXES)
"""Suffixes of cameras' raw files."""

PAIRED_SUFFIXES: Final = (".jpg", ".jpeg", ".jpe", ".heic", ".heif", ".hif")
"""What a camera writes beside a raw file of the same name."""

PICTURE_SUFFIXES: Final = READABLE_SUFFIXES | UNREADABLE_SUFFIXES.keys()
"""What makes a file in a folder an image; its content alone decides how it is read."""


SYSTEM_FOLDERS: Final = frozenset(
    (
        "#recycle", "#snapshot", "$recycle.bin", "@eadir", "@recently-snapshot", "@recycle", "@tmp", "__macosx",
        "lost+found", "network trash folder", "recycler", "system volume information", "temporary items",
    )
)  # fmt: skip
"""Folders of NAS, trash and system, in lower case: what lies in them is nobody's collection."""

NO_MEDIA: Final = ".nomedia"
"""A file by which a folder says that its images are not for albums."""

_KINDS: Final = {
    "document": "doc docx epub htm html key mobi odp ods odt pages pdf ppt pptx rtf xls xlsx numbers",
    "video": "3g2 3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv webm wmv",
    "audio": "aac aif aiff amr flac m4a mid mp3 oga ogg opus wav wma",
    "text": "c cfg conf cpp css csv h ini java js json log md nfo py sh srt tex toml ts tsv txt xml xmp yaml yml aae",
    "archive": "7z bz2 dmg gz iso jar rar tar tgz xz zip zst",
}
_KIND_OF_SUFFIX: Final = {f".{suffix}": kind for kind, suffixes in _KINDS.items() for suffix in suffixes.split()}


def kind_of_file(suffix: str) -> str:
    """Return what a file that is not an image is, by its suffix.

    Parameters
    ----------
    suffix : str
        With its dot, in lower case; empty for a name without one.

    Returns
    -------
    kind : {"document", "video", "audio", "text", "archive", "other"}
        ``"other"`` is a file whose content alone can tell.
    """
    return _KIND_OF_SUFFIX.get(suffix, "other")


def sniff_format(beginning: bytes) -> Format | None:
    """Tell a file's format by its first bytes.

    Parameters
    ----------
    beginning : bytes
        The first `SIGNATURE_BYTES` bytes of the file, or all of a shorter one.

    Returns
    -------
    format : Format or None
        None if the bytes are those of no format that is known here.
    """
    for signature, format_ in _SIGNATURES:
        if beginning.startswith(signature):
            return _refine_tiff(beginning) if format_ is TIFF else format_
    if beginning[4:8] == b"ftyp":
        return _sniff_iso_media(beginning)
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return WEBP
    if beginning[:1] == b"P" and beginning[1:2] in b"123456" and beginning[2:3].isspace():
        return PNM
    if beginning.startswith(b"<?xml") and b"<svg" in beginning:
        return SVG
    return None


def _refine_tiff(beginning: bytes) -> Format:
    return RAW if beginning[8:10] == b"CR" else TIFF  # Canon's CR2 says so itself; others tell by their suffix alone


def _sniff_iso_media(beginning: bytes) -> Format | None:
    """Read the brands of an ISO media file: bytes 8 to 12, then from 16 on to the end of the box."""
    end = min(int.from_bytes(beginning[:4], "big"), len(beginning))
    brands = [beginning[8:12], *(beginning[i : i + 4] for i in range(16, end, 4))]
    for format_, known in _ISO_BRANDS:
        if brands[0] in known and not (brands[0] in (b"mif1", b"msf1") and b"avif" in brands):
            return format_
    return AVIF if b"avif" in brands else None
