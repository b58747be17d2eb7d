"""Images over HTTP: found by id in the project, never by a path that somebody sent."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from covey.errors import ProjectError
from covey.gallery.live._refusals import RefusalError
from covey.gallery.live._served import ServedProject

__all__ = ["image_type", "send_picture", "send_thumbnail"]

_CHUNK_BYTES = 256 * 1024
_N_FIRST = 16
_BY_FIRST_BYTES: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)
_IMMUTABLE = "private, max-age=31536000, immutable"


def image_type(first: bytes) -> str | None:
    """Tell the type of a picture that browsers show and that holds no script.

    Parameters
    ----------
    first : bytes
        The first 16 bytes of a file, whatever its name says.

    Returns
    -------
    kind : str or None
        A media type; None for everything else, SVG and HTML among it.
    """
    for start, kind in _BY_FIRST_BYTES:
        if first.startswith(start):
            return kind
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return "image/webp"
    if first[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    return None


async def send_thumbnail(served: ServedProject, request: Request, image_id: str) -> Response:
    """Answer with the thumbnail of an image."""
    path = await served.call(_thumbnail_path, image_id)
    if _is_known_already(request, image_id):
        return Response(status_code=304, headers={"etag": f'"{image_id}"', "cache-control": _IMMUTABLE})
    try:
        data = await run_in_threadpool(path.read_bytes)
    except OSError as error:
        raise RefusalError(404, "unknown", "This image has no thumbnail.") from error
    return Response(data, media_type="image/webp", headers={"etag": f'"{image_id}"', "cache-control": _IMMUTABLE})


async def send_picture(served: ServedProject, image_id: str) -> Response:
    """Answer with the file of an image; what a browser could run instead of show is a download."""
    path = await served.call(_original_path, image_id)
    descriptor, n_bytes, first = await run_in_threadpool(_open_regular, path)
    kind = image_type(first)
    headers = {"content-length": str(n_bytes), "cache-control": "private, no-cache"}
    if kind is None:
        headers |= {"content-disposition": "attachment", "content-security-policy": "default-src 'none'; sandbox"}
    return StreamingResponse(
        _chunks(descriptor, n_bytes), media_type=kind or "application/octet-stream", headers=headers
    )


def _thumbnail_path(served: ServedProject, image_id: str) -> Path:
    _check_known(served, image_id)
    return served.project.thumbnails / image_id[:2] / f"{image_id}.webp"


def _original_path(served: ServedProject, image_id: str) -> Path:
    _check_known(served, image_id)
    try:
        return served.project.path_of(image_id)
    except ProjectError as error:
        raise RefusalError(404, "unknown", "No file of this image is in the project any more.") from error


def _check_known(served: ServedProject, image_id: str) -> None:
    if served.row_of(image_id) is None:
        served.curation.refresh()
        if served.row_of(image_id) is None:
            raise RefusalError(404, "unknown", "There is no such image.")


def _is_known_already(request: Request, image_id: str) -> bool:
    return f'"{image_id}"' in request.headers.get("if-none-match", "")


def _open_regular(path: Path) -> tuple[int, int, bytes]:
    """Open a file once, and return its descriptor, size and first bytes; a pipe or a folder is refused."""
    try:
        # A pipe in the file's place must not make the server wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise RefusalError(404, "unknown", "The file is gone, or cannot be read.") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RefusalError(404, "unknown", "What is in the file's place is no file.")
        first = os.read(descriptor, _N_FIRST)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError):
            raise RefusalError(404, "unknown", "The file cannot be read.") from error
        raise
    return descriptor, status.st_size, first


def _chunks(descriptor: int, n_bytes: int) -> Iterator[bytes]:
    """Yield a file's bytes, no more than were announced, and close it."""
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while n_bytes > 0 and (chunk := file.read(min(_CHUNK_BYTES, n_bytes))):
            n_bytes -= len(chunk)
            yield chunk
