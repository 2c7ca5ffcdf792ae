"""A person with a browser that runs no scripts: cookies, forms with their hidden fields, one account."""

import re
from html import unescape
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from pulse.access import passwords, people
from pulse.access.roles import Role, system
from pulse.stores.relational.users import User
from tests.api.site import Site

PASSWORD = "seven quiet lanterns on the river"
HASHED = passwords.hashed(PASSWORD)
MACHINE = system("tests", "here")


def account(site: Site, name: str, role: Role, communities: list[str] | None = None) -> User:
    """An account with `PASSWORD`."""
    with site.db.write() as connection:
        return people.create(
            connection,
            MACHINE,
            name,
            role,
            site.clock.now_us(),
            communities=communities,
            password_hash=HASHED,
        )


class Visitor:
    """Opens pages and sends their forms; keeps cookies, follows no redirection."""

    def __init__(self, app: FastAPI, base_url: str = "http://testserver", **options: Any) -> None:
        self.client = TestClient(
            app,
            base_url=base_url,
            follow_redirects=False,
            raise_server_exceptions=False,
            headers={"Accept": "text/html", "User-Agent": "Firefox/140 Linux"},
            cookies={"lang": "en"},
            **options,
        )

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, **options)

    def send(self, page: str, action: str, /, **fields: Any) -> Any:
        """Fill in the form of `page` that goes to `action`, with its hidden fields."""
        return self.client.post(action, data={**hidden(self.get(page).text, action), **fields})

    def sign_in(self, name: str, password: str = PASSWORD, next_: str = "/") -> Any:
        return self.send("/sign-in", "/sign-in", name=name, password=password, next=next_)

    def session(self) -> str | None:
        """The secret of the session's cookie."""
        return self.client.cookies.get("pulse_session") or self.client.cookies.get("__Host-pulse_session")


def hidden(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes to `action`; the test fails without such a form."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    assert form, f"no form goes to {action}"
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0])
    return {name: unescape(value) for name, value in found}


def text(answer: Any) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
