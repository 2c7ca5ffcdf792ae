"""Everybody who may come to the small installation: people with sessions and tokens, and nobody."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.app import create_app
from api.auth.guard import FORM_HEADER
from api.auth.identity import COOKIE
from api.context import Context
from pulse import settings
from pulse.access import keys, people, secrets
from pulse.access.roles import Role, command_line
from pulse.clock import DAY_US
from pulse.stores.relational import sessions
from tests.api.site import UNLIMITED, Site

A = "xinjinglou"
"""The community of those who are limited; `cam-1` is one of its devices."""
B = "rongxinyuan"
"""The other one; `cam-5` and `cam-6` are all of its devices."""
OF_B = ("cam-5", "cam-6", "rongxinyuan", "荣馨园", "6号楼", "building 6")
"""Words that tell of community B."""

_OPERATOR = command_line("operator", "here")


class Who(NamedTuple):
    """A role with its communities (None: all); with `scopes` it comes with a token instead of a session."""

    role: Role | None
    communities: frozenset[str] | None = None
    scopes: tuple[str, ...] = ()


_OF_A = frozenset({A})
WHO = {
    "admin": Who(Role.ADMIN),
    "manager of all": Who(Role.MANAGER),
    "manager of A": Who(Role.MANAGER, _OF_A),
    "evaluator of all": Who(Role.EVALUATOR),
    "evaluator of A": Who(Role.EVALUATOR, _OF_A),
    "department": Who(Role.DEPARTMENT),
    "viewer of all": Who(Role.VIEWER),
    "viewer of A": Who(Role.VIEWER, _OF_A),
    "token of A": Who(Role.EVALUATOR, _OF_A, ("devices:read",)),
    "nobody": Who(None),
}


def private(site: Site) -> Context:
    """The installation, which shows nothing to those who are not signed in."""
    folder = site.context.settings.data_dir
    return replace(
        site.context, settings=settings.load(data_dir=folder, public_view=False, rate_limit=UNLIMITED)
    )


def closed(site: Site) -> FastAPI:
    """The application over it."""
    return create_app(private(site))


class Crowd:
    """Makes people of the installation, each with an account of their own."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._count = 0

    def headers(self, who: Who) -> dict[str, str]:
        """What a request of a new person of that kind carries."""
        if who.role is None:
            return {}
        self._count += 1
        now_us = self._site.clock.now_us()
        with self._site.db.write() as connection:
            user = people.create(
                connection, _OPERATOR, f"someone-{self._count}", who.role, now_us, communities=who.communities
            )
            if who.scopes:
                made = keys.create(connection, _OPERATOR, user, "a test", who.scopes, None, 30, now_us)
                return {"Authorization": f"Bearer {made.secret}"}
            secret = secrets.new_secret()
            sessions.add(connection, secrets.digest(secret), user.id, now_us, now_us + DAY_US, "", "")
        return {"Cookie": f"{COOKIE}={secret}", FORM_HEADER: secrets.derived(secret, "form")}


@contextlib.contextmanager
def ending_streams(app: FastAPI) -> Iterator[TestClient]:
    """A client of the application whose live streams end as soon as they have begun."""
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        assert client.portal is not None
        client.portal.call(app.state.hub.close)
        yield client


def told_of(text: str, words: Sequence[str] = OF_B) -> list[str]:
    """Which of the words occur in what was answered."""
    return [word for word in words if word in text]
