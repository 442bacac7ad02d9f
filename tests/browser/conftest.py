"""A server with an evidence folder of its own, and visitors that fail the test when their browser meets trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_server import WAIT, Server, Watched, start_server, stop_server
from playwright.sync_api import Browser

from diag.demo.build import build_demo


@pytest.fixture(scope="session")
def demo() -> None:
    """The demo, built."""
    build_demo()


@pytest.fixture
def fresh(demo: None, tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has asked anything yet."""
    server = start_server(tmp_path / "evidence")
    yield server
    stop_server(server)


@pytest.fixture(scope="module")
def shared(demo: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module that do not mind each other."""
    server = start_server(tmp_path_factory.mktemp("shared") / "evidence")
    yield server
    stop_server(server)


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Makes visitors with a browser profile of their own; at the end none may have met trouble."""
    made: list[Watched] = []

    def make(server: Server, width: int = 1440, scheme: str = "light") -> Watched:
        options: dict[str, Any] = {"color_scheme": scheme}
        context = browser.new_context(viewport={"width": width, "height": 1000}, **options)
        context.set_default_timeout(WAIT)
        watched = Watched(context.new_page())
        ours = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
        watched.page.on("pageerror", lambda error: watched.trouble.append(f"script error: {error}"))
        watched.page.on(
            "request",
            lambda request: None if request.url.startswith(ours) else watched.trouble.append(f"foreign: {request.url}"),
        )
        made.append(watched)
        return watched

    yield make
    trouble = [line for watched in made for line in watched.trouble]
    for watched in made:
        watched.page.context.close()
    assert not trouble
