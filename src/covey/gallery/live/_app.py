"""The routes: from an address to a page, its JSON twin, an image or an edit."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from covey.errors import CoveyError
from covey.gallery._pages import Page
from covey.gallery._render import render_page
from covey.gallery.live._editing import EditRequest, make_edit, parse_form, parse_json
from covey.gallery.live._media import send_picture, send_thumbnail
from covey.gallery.live._reading import (
    PAGES,
    ClusterMovedError,
    Query,
    Reader,
    message_page,
    page_to_dict,
    read_cluster,
    read_state,
)
from covey.gallery.live._refusals import RefusalError, json_bytes, plain_page
from covey.gallery.live._security import App, Guard
from covey.gallery.live._served import ServedProject

__all__ = ["build_app"]

_logger = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]

STATIC_FILES = {
    "gallery.css": "text/css; charset=utf-8",
    "gallery.js": "text/javascript; charset=utf-8",
    "live.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def build_app(served: ServedProject, *, key: str, hosts: Sequence[str], is_read_only: bool = False) -> App:
    """Make the ASGI application of one project.

    Parameters
    ----------
    served : ServedProject
        The project; who made it closes it.
    key : str
        The first part of every path, after ``/k/``; see `new_key`.
    hosts : sequence of str
        Every ``Host`` that is answered, with its port.
    is_read_only : bool, default=False
        Whether there is no way to edit at all.

    Returns
    -------
    app : ASGI application
        With `Guard` before every route.
    """
    site = _Site(served, is_read_only=is_read_only)
    routes = [
        Route("/static/{name:str}", site.answer(site.static)),
        Route("/thumbnails/{name:str}", site.answer(site.thumbnail)),
        Route("/pictures/{image_id:str}", site.answer(site.picture)),
        Route("/state.json", site.answer(site.state)),
        Route("/clusters/{name:str}", site.answer(site.cluster)),
    ]
    for name, reader in PAGES.items():
        routes.append(Route(f"/{name}", site.answer(partial(site.page, reader, is_json=False))))
        routes.append(Route(f"/{name or 'index'}.json", site.answer(partial(site.page, reader, is_json=True))))
    if not is_read_only:
        routes.append(Route("/edits", site.answer(site.edit), methods=["POST"]))
    app = Starlette(routes=routes, exception_handlers={404: site.not_here, 405: site.wrong_method})
    app.router.redirect_slashes = False
    return Guard(app, key=key, hosts=hosts, is_read_only=is_read_only)


class _Site:
    """Answers requests about one project."""

    def __init__(self, served: ServedProject, *, is_read_only: bool) -> None:
        self._served, self._is_read_only = served, is_read_only

    def answer(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that answers refusals, and what goes wrong, in the form that was asked for."""

        async def answered(request: Request) -> Response:
            try:
                return await endpoint(request)
            except RefusalError as refusal:
                return await self._refuse(refusal, request)
            except CoveyError as error:
                return await self._refuse(RefusalError(503, "busy", str(error)), request)

        return answered

    async def page(self, reader: Reader, request: Request, *, is_json: bool) -> Response:
        """Answer with one of the pages that are always there."""
        page = await self._served.call(reader, _query(request), self._is_read_only)
        return await self._send(page, is_json=is_json)

    async def cluster(self, request: Request) -> Response:
        """Answer with a page of a cluster, or lead to the one that it was merged into."""
        text = request.path_params["name"]
        name, is_json = text.removesuffix(".json"), text.endswith(".json")
        if name != "none" and not (name.isascii() and name.isdecimal() and len(name) < 10):
            raise RefusalError(404, "unknown", "There is no such cluster.")
        try:
            page = await self._served.call(read_cluster, name, _query(request), self._is_read_only)
        except ClusterMovedError as moved:
            return RedirectResponse(f"{moved.cluster}{'.json' if is_json else ''}", 308)
        return await self._send(page, is_json=is_json)

    async def state(self, request: Request) -> Response:
        """Answer with the edits since one, or with nothing."""
        later = await self._served.call(read_state, _query(request))
        return Response(status_code=204) if later is None else _json(later)

    async def thumbnail(self, request: Request) -> Response:
        """Answer with a thumbnail."""
        name = request.path_params["name"]
        if not name.endswith(".webp"):
            raise RefusalError(404, "unknown", "There is no such thumbnail.")
        return await send_thumbnail(self._served, request, _image_id(name.removesuffix(".webp")))

    async def picture(self, request: Request) -> Response:
        """Answer with the file of an image."""
        return await send_picture(self._served, _image_id(request.path_params["image_id"]))

    async def static(self, request: Request) -> Response:
        """Answer with one of covey's own files."""
        name = request.path_params["name"]
        if name not in STATIC_FILES:
            raise RefusalError(404, "unknown", "There is no such file.")
        data = (files("covey.gallery") / "static" / name).read_bytes()
        return Response(data, media_type=STATIC_FILES[name], headers={"cache-control": "private, max-age=3600"})

    async def edit(self, request: Request) -> Response:
        """Make one edit; a form is led back to its page, JSON gets what was stored."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await request.body()
        if kind == "application/json":
            report, touched = await self._served.call(make_edit, parse_json(body))
            told = {
                "ok": True,
                "seq": report.seq,
                "undo": report.seq,
                "op": report.op,
                "summary": report.summary,
                "n_images": report.n_images,
                "n_unchanged": report.n_unchanged,
                "is_new": report.is_new,
                "touched": touched,
            }
            return _json(told, status=201)
        if kind != "application/x-www-form-urlencoded":
            raise RefusalError(415, "bad_request", "An edit is a form (application/x-www-form-urlencoded) or JSON.")
        asked = parse_form(body)
        report, _ = await self._served.call(make_edit, asked)
        return RedirectResponse(_way_back(asked, report.seq), 303)

    async def not_here(self, request: Request, _error: Exception) -> Response:
        """Answer for an address that no route has."""
        return await self._refuse(RefusalError(404, "unknown", "There is no such page."), request)

    async def wrong_method(self, request: Request, _error: Exception) -> Response:
        """Answer for a method that the route does not have."""
        refusal = RefusalError(405, "not_allowed", f"{request.method} is not allowed here.")
        return await self._refuse(refusal, request)

    async def _send(self, page: Page, *, is_json: bool) -> Response:
        if is_json:
            return _json(page_to_dict(page))
        text = await self._served.call(lambda _: render_page(page))
        return _html(text, 200)

    async def _refuse(self, refusal: RefusalError, request: Request) -> Response:
        if request.url.path.endswith(".json") or request.headers.get("content-type", "").startswith("application/json"):
            return _json(refusal.to_dict(), status=refusal.status)
        try:
            page = await self._served.call(message_page, refusal, self._is_read_only)
            # The page stands at any depth, so its links are made to start from the first one.
            text = await self._served.call(lambda _: render_page(_at_depth(page, request.url.path)))
        except CoveyError as error:
            _logger.warning("%s", error)
            return Response(plain_page("No", refusal.message), refusal.status, media_type="text/html; charset=utf-8")
        return _html(text, refusal.status)


def _at_depth(page: Page, path: str) -> Page:
    """Return a page of the first folder with links as they are seen from the folder of a path."""
    root = "../" * (path.count("/") - 1)
    return replace(page, links=replace(page.links, root=root))


def _way_back(asked: EditRequest, seq: int) -> str:
    place, mark, rest = asked.back.partition("?")
    return f"./{place}?{rest + '&' if mark else ''}done={seq}"


def _query(request: Request) -> Query:
    return dict(request.query_params)


def _image_id(text: str) -> str:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise RefusalError(404, "unknown", "There is no such image.")
    return text


def _html(text: str, status: int) -> Response:
    return Response(text.encode("utf-8", "replace"), status, media_type="text/html; charset=utf-8")


def _json(value: Any, status: int = 200) -> Response:
    return Response(json_bytes(value), status, media_type="application/json")
