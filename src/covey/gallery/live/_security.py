"""Who may ask for what: the first thing that sees a request, before any route.

The server trusts nothing that a browser adds by itself: there is no cookie. Another user of the machine lacks the key;
a page of another site lacks it too, and its requests say where they come from (``Sec-Fetch-Site``, ``Origin``); a
host name that leads to 127.0.0.1 (DNS rebinding) is not on the list of hosts.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from covey.gallery.live._refusals import RefusalError, json_bytes, plain_page

__all__ = ["HEADERS", "MAX_BODY_BYTES", "Guard", "new_key"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_QUERY_BYTES = 8 * 1024
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = (
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    # With no-referrer, as on the static pages, Chromium sends `Origin: null` with the server's own forms.
    ("referrer-policy", "same-origin"),
)
_ONCE = (b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"content-type", b"content-length")
_READS = ("GET", "HEAD")


def new_key() -> str:
    """Return a key for the first part of every path.

    Returns
    -------
    key : str
        128 random bits in 22 letters.
    """
    return secrets.token_urlsafe(16)


class Guard:
    """ASGI middleware that refuses what may not come in, and puts the security headers on every answer.

    Parameters
    ----------
    app : ASGI application
        Sees paths without the key.
    key : str
        First part of every path after ``/k/``.
    hosts : sequence of str
        Every allowed ``Host``, with its port.
    is_read_only : bool
        Whether only GET and HEAD are allowed.
    """

    def __init__(self, app: App, *, key: str, hosts: Sequence[str], is_read_only: bool) -> None:
        self._app, self._key = app, key
        self._hosts = frozenset(hosts)
        self._methods = _READS if is_read_only else (*_READS, "POST")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        guarded = _with_headers(send)
        try:
            inner = self._admit(scope)
            body = await _read_body(scope, receive)
        except RefusalError as refusal:
            await _answer(refusal, scope, guarded)
            return
        await self._app(inner, _replay(body, receive), guarded)

    def _admit(self, scope: Scope) -> Scope:
        """Return the scope with the path that routes see, or raise `RefusalError`."""
        headers = _Headers(scope["headers"])
        host = headers.only("host")
        if host is None or host not in self._hosts:
            raise RefusalError(
                421, "wrong_host", "This server answers under the address that covey printed, and under no other."
            )
        path = self._strip_key(scope["path"])
        if len(scope["query_string"]) > MAX_QUERY_BYTES:
            raise RefusalError(
                414, "too_large", f"What stands after ? is longer than {MAX_QUERY_BYTES} bytes; shorten it."
            )
        method = scope["method"]
        if method not in self._methods:
            allowed = ", ".join(self._methods)
            raise RefusalError(
                405,
                "not_allowed",
                f"The method {method} is not allowed here; {allowed} are.",
                headers=[("allow", allowed)],
            )
        for name in _ONCE:
            headers.only(name.decode())
        check_origin(headers.only, method, host)
        return {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}

    def _strip_key(self, path: str) -> str:
        first, _, rest = path.removeprefix("/k/").partition("/")
        is_known = hmac.compare_digest(first.encode("utf-8", "replace"), self._key.encode())
        if not path.startswith("/k/") or not is_known or not path.startswith(f"/k/{first}/"):
            raise RefusalError(404, "unknown", "There is nothing here. Take the whole link that covey printed.")
        return f"/{rest}"


def check_origin(header: Callable[[str], str | None], method: str, host: str) -> None:
    """Refuse a request that a page of another site caused.

    Parameters
    ----------
    header : callable
        Gives the value of a header by name, None if it is missing.
    method : str
        Of the request.
    host : str
        What it calls this server.

    Raises
    ------
    RefusalError
        403. A write needs ``Sec-Fetch-Site: same-origin``; from a browser that does not send it, an ``Origin`` that is
        this server. Only who sends none of these headers, which no page can arrange, passes without. A read from
        another site is refused unless it is a link that a person followed.
    """
    site, origin = header("sec-fetch-site"), header("origin")
    if method in _READS:
        is_link = (header("sec-fetch-mode"), header("sec-fetch-dest")) == ("navigate", "document")
        if site not in (None, "same-origin", "none") and not is_link:
            raise RefusalError(403, "wrong_origin", "A page of another site asked for this; open the link yourself.")
        return
    if site is not None:
        is_own = site == "same-origin" and origin in (None, f"http://{host}")
    elif origin is not None:
        is_own = origin == f"http://{host}"
    else:
        is_own = header("sec-fetch-mode") is None and header("sec-fetch-dest") is None
    if not is_own:
        raise RefusalError(
            403, "wrong_origin", "This edit came from another page than covey's own; nothing was changed."
        )


class _Headers:
    """The headers of a request, of which some may stand there once only."""

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs

    def only(self, name: str) -> str | None:
        """Return the value of a header, None if there is none; two are refused."""
        values = [value for key, value in self._pairs if key == name.encode()]
        if len(values) > 1:
            status = 421 if name == "host" else 400
            raise RefusalError(status, "bad_request", f"The header {name} stands there {len(values)} times; send one.")
        return values[0].decode("latin-1") if values else None


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    """Return the whole body, or refuse it before it is too large."""
    headers = _Headers(scope["headers"])
    length = headers.only("content-length") or "0"
    too_large = RefusalError(413, "too_large", f"More than {MAX_BODY_BYTES} bytes were sent; make several edits of it.")
    if not length.isdecimal() or len(length) > 18:
        raise RefusalError(400, "bad_request", "Content-Length is not a number.")
    if int(length) > MAX_BODY_BYTES:
        raise too_large
    if headers.only("content-encoding") not in (None, "identity"):
        raise RefusalError(415, "bad_request", "A compressed body is not read; send it as it is.")
    parts: list[bytes] = []
    n_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusalError(400, "bad_request", "The request ended before its body did.")
        parts.append(message.get("body", b""))
        n_bytes += len(parts[-1])
        if n_bytes > MAX_BODY_BYTES:
            raise too_large
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that gives a body that was read, and then what else comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


def _with_headers(send: Send) -> Send:
    """Return a sender that adds the security headers where the answer does not set its own."""

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            added = [(name.encode(), value.encode()) for name, value in HEADERS if name.encode() not in given]
            if b"cache-control" not in given:
                added.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return send_guarded


async def _answer(refusal: RefusalError, scope: Scope, send: Send) -> None:
    is_json = scope["path"].endswith(".json") or (b"content-type", b"application/json") in scope["headers"]
    body = json_bytes(refusal.to_dict()) if is_json else plain_page("Not here", refusal.message)
    kind = "application/json" if is_json else "text/html; charset=utf-8"
    headers = [("content-type", kind), ("content-length", str(len(body))), *refusal.headers]
    if refusal.status in (400, 413, 415):
        headers.append(("connection", "close"))
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
