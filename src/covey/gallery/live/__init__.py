"""The gallery as a server for one person on one machine: the pages of `covey.gallery`, with forms that correct them.

`build_app` makes the ASGI application (Starlette) and `serve_project` runs it (uvicorn) on the loopback interface. A
page is the same record as on disk, with controls beside it. `_security.py` stands before everything else: who asks
without the key of this start, under another host's name, or from another site's page, gets nothing.
"""

from covey.gallery.live._app import build_app
from covey.gallery.live._security import new_key
from covey.gallery.live._serving import Server, bind_socket

__all__ = ["Server", "bind_socket", "build_app", "new_key"]
