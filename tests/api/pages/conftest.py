"""Visitors of an installation that nobody may look at without signing in."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from api.app import create_app
from tests.api.pages.visitor import Visitor
from tests.api.site import Site


@pytest.fixture
def closed(site: Site) -> FastAPI:
    """The application without public view, behind a proxy at 127.0.0.1 that it trusts."""
    changes = {"public_view": False, "trusted_proxies": "127.0.0.1"}
    return create_app(replace(site.context, settings=site.context.settings.model_copy(update=changes)))


@pytest.fixture
def visitor(closed: FastAPI) -> Iterator[Callable[..., Visitor]]:
    with ExitStack() as stack:

        def come(base_url: str = "http://testserver", **options: Any) -> Visitor:
            visitor = Visitor(closed, base_url, **options)
            stack.callback(visitor.client.close)
            return visitor

        yield come
