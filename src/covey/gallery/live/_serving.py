"""From a project to a running server: the socket, the link, and the end."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import escape
from pathlib import Path

import uvicorn

from covey.errors import InvalidValueError
from covey.gallery.live._app import build_app
from covey.gallery.live._security import new_key
from covey.gallery.live._served import ServedProject

__all__ = ["DEFAULT_PORT", "HOST", "Server", "bind_socket"]

HOST = "127.0.0.1"
DEFAULT_PORT = 8765
_N_TRIED = 20
_MAX_CONNECTIONS = 64
_SECONDS_TO_END = 3


def bind_socket(port: int | None = None) -> socket.socket:
    """Take a port of the loopback interface.

    Parameters
    ----------
    port : int, optional
        Exactly this one, 0 for any; without it, 8765 or the next that is free.

    Returns
    -------
    listener : socket
        Listening: who connects waits until `Server.run`.

    Raises
    ------
    InvalidValueError
        If the port is not free.
    """
    ports = range(DEFAULT_PORT, DEFAULT_PORT + _N_TRIED) if port is None else [port]
    for candidate in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere it would share the port with another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, candidate))
            listener.listen()  # who reads the link at once waits for the answer rather than being refused
        except OSError:
            listener.close()
            continue
        return listener
    tried = f"Port {port} is" if port is not None else f"The ports {ports[0]} to {ports[-1]} are"
    raise InvalidValueError(f"{tried} not free; choose another one with --port, or 0 for any that is free.")


class Server:
    """A project, served until the process is told to stop.

    Parameters
    ----------
    root : Path
        The project's folder.
    listener : socket
        From `bind_socket`.
    is_read_only : bool, default=False
        Whether nothing can be edited.
    """

    def __init__(self, root: Path, listener: socket.socket, *, is_read_only: bool = False) -> None:
        self._root, self._listener = root, listener
        self.key = new_key()
        self.port = int(listener.getsockname()[1])
        self.is_read_only = is_read_only or not os.access(root, os.W_OK)

    @property
    def url(self) -> str:
        """The address of the first page, with the key."""
        return f"http://{HOST}:{self.port}/k/{self.key}/"

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM; what is under way is finished first."""
        with closing(ServedProject(self._root)) as served:
            hosts = [f"{name}:{self.port}" for name in (HOST, "localhost")]
            app = build_app(served, key=self.key, hosts=hosts, is_read_only=self.is_read_only)
            config = uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,  # a line of it would hold the key
                server_header=False,
                lifespan="off",
                ws="none",
                http="h11",
                loop="asyncio",
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_graceful_shutdown=_SECONDS_TO_END,
                proxy_headers=False,
            )
            uvicorn.Server(config).run(sockets=[self._listener])

    @contextmanager
    def redirect_file(self) -> Iterator[Path]:
        """Write a page that leads to the server and that nobody else can read: a command line, `ps` shows to all."""
        with tempfile.TemporaryDirectory(prefix="covey-") as folder:
            path = Path(folder) / "open.html"
            path.touch(mode=0o600)
            path.write_text(
                f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={escape(self.url)}">'
                f'<a href="{escape(self.url)}">covey</a>\n',
                encoding="utf-8",
            )
            yield path
