"""A real Chromium on a real server over the whole fleet; every visit is watched for what must not happen."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from api.context import Context
from api.server import serve
from tests import programs
from tests.browser.town import Town

PATIENCE_S = 20.0
PHONE = (390, 844)
DESK = (1440, 900)
WALL = (1920, 1080)


class Server:
    """Serves a town on one port; may go away and come back."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._port = 0
        self.address = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Answer requests from here on, on the port of the first start."""
        started = threading.Event()
        self._stop = threading.Event()

        def ready(address: str) -> None:
            self.address = address
            self._port = urlsplit(address).port or 0
            started.set()

        self._thread = threading.Thread(
            target=serve,
            args=(self._context, "127.0.0.1", self._port, self._stop),
            kwargs={"ready": ready},
            daemon=True,
        )
        self._thread.start()
        assert started.wait(PATIENCE_S), "the server did not start"

    def stop(self) -> None:
        """Answer nothing from here on."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
            assert not self._thread.is_alive(), "the server did not stop"


class Visit:
    """Opens pages as a reader; `complaints` holds what the browser had to say."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self._browser = browser
        self._server = server
        self._pages: list[Page] = []
        self.complaints: list[str] = []

    def __call__(
        self,
        path: str,
        *,
        theme: str = "light",
        size: tuple[int, int] = DESK,
        language: str | None = None,
        scripts: bool = True,
    ) -> Page:
        """A page in a browser of its own, without cookies unless a language is chosen."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if theme == "dark" else "light",
            base_url=self._server.address,
            java_script_enabled=scripts,
        )
        if language:
            context.add_cookies([{"name": "lang", "value": language, "url": self._server.address}])
        page = context.new_page()
        page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._check_host(request.url))
        page.goto(path)
        self._pages.append(page)
        return page

    def close(self) -> None:
        """Close what was opened."""
        for page in self._pages:
            page.context.close()

    def _check_host(self, url: str) -> None:
        if not url.startswith((self._server.address, "data:", "blob:")):
            self.complaints.append(f"asked another host: {url}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = programs.require("chromium")
    # Scoped to this package: while Playwright is at work, the thread has a running event loop.
    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, which containers and CI are.
        browser = playwright.chromium.launch(
            executable_path=str(program), args=["--no-sandbox", "--font-render-hinting=none"]
        )
        yield browser
        browser.close()


@pytest.fixture
def town(tmp_path: Path, browser: Browser) -> Iterator[Town]:
    with Town(tmp_path) as town:
        yield town


@pytest.fixture
def closed(town: Town) -> Iterator[Server]:
    """The town's server, where nobody may look without signing in."""
    closed = town.context.settings.model_copy(update={"public_view": False})
    server = Server(replace(town.context, settings=closed))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(town: Town) -> Iterator[Server]:
    server = Server(town.context)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Callable[[Server], Visit]]:
    """Visits of any server; nothing is asserted about what the browser complains of."""
    visits: list[Visit] = []

    def open_(server: Server) -> Visit:
        visits.append(Visit(browser, server))
        return visits[-1]

    yield open_
    for visit in visits:
        visit.close()


@pytest.fixture
def visit(watched: Callable[[Server], Visit], server: Server) -> Iterator[Visit]:
    """Visits of the town; the test fails if the browser complained or any other host was asked."""
    visit = watched(server)
    yield visit
    assert visit.complaints == []
