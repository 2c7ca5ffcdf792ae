"""The audit log as people read it: filters, differences, the chain, the export, and who sees what."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text as sql
from sqlalchemy import update

from pulse.access.roles import Role, system
from pulse.clock import DAY_US
from pulse.stores.relational import audit
from pulse.stores.relational.tables import audit as table
from tests.api.pages.visitor import Visitor, account, hidden, text
from tests.api.site import Site

Come = Callable[..., Visitor]


@pytest.fixture
def admin(site: Site, visitor: Come) -> Visitor:
    account(site, "root-admin", Role.ADMIN)
    admin = visitor()
    admin.sign_in("root-admin")
    return admin


def _did(site: Site, subject: str, community: str | None = None, **sides: Any) -> None:
    with site.db.write() as connection:
        now_us = site.clock.now_us()
        audit.append(
            connection, system("maker", "host"), "thing.make", subject, now_us, community=community, **sides
        )


def test_entries_come_newest_first_with_what_changed(site: Site, admin: Visitor) -> None:
    before = {"name": "vic", "role": "viewer", "communities": None}
    _did(site, "user:vic", before=before, after={**before, "role": "manager", "communities": ["xinjinglou"]})
    page = text(admin.get("/audit"))
    assert page.index("thing.make") < page.index("Sign in user:root-admin")
    assert "Role Viewer becomes → Manager" in page
    assert "Communities all becomes → xinjinglou" in page
    assert "Name vic" not in page[: page.index("Sign in user:root-admin")]


def test_the_log_is_filtered_by_who_what_outcome_and_day(site: Site, admin: Visitor, visitor: Come) -> None:
    visitor().sign_in("root-admin", "wrong")
    site.clock.now += DAY_US
    _did(site, "thing:late")
    site.clock.now -= DAY_US
    for query, there, not_there in (
        ("who=root-admin", "Browser Firefox", "thing:late"),
        ("who=system:maker", "thing:late", "Browser Firefox"),
        ("action=sign_in", "Browser Firefox", "thing:late"),
        ("action=sign_in&outcome=refused", "Reason wrong name or password", "Browser Firefox"),
        ("since=2026-11-24", "thing:late", "Browser Firefox"),
        ("until=2026-11-23", "Browser Firefox", "thing:late"),
        ("since=nonsense", "thing:late", "No entry"),
        ("who=nobody", "No entry matches", "thing:late"),
    ):
        page = text(admin.get(f"/audit?{query}"))
        assert there in page, query
        assert not_there not in page, query


def test_a_long_log_has_pages(site: Site, admin: Visitor) -> None:
    for number in range(60):
        _did(site, f"thing:{number}.")
    first = admin.get("/audit?who=system:maker")
    assert "thing:59." in text(first)
    assert "thing:9." not in text(first)
    older = admin.get("/audit?before=13&who=system:maker")
    assert f'href="/audit?before={_numbers(first.text)[-1]}&amp;who=system%3Amaker"' in first.text
    assert "thing:9." in text(older)
    assert "thing:59." not in text(older)


def test_who_has_some_communities_reads_about_those_and_exports_no_more(site: Site, visitor: Come) -> None:
    account(site, "eva", Role.EVALUATOR, ["xinjinglou"])
    _did(site, "thing:ours", "xinjinglou")
    _did(site, "thing:theirs", "rongxinyuan")
    _did(site, "thing:of-all")
    eva = visitor()
    eva.sign_in("eva")
    for answer in (eva.get("/audit"), eva.get("/audit.csv")):
        assert "thing:ours" in answer.text
        assert "thing:theirs" not in answer.text
        assert "thing:of-all" not in answer.text
    assert "Verify the chain" not in eva.get("/audit").text
    fields = hidden(eva.get("/audit").text, "/sign-out")
    assert eva.client.post("/audit/verify", data=fields).status_code == 403


def test_the_chain_is_verified_and_a_changed_entry_named(site: Site, admin: Visitor) -> None:
    _did(site, "thing:1")
    assert "verified up to entry 3" in text(admin.send("/audit", "/audit/verify"))
    with site.db.write() as connection:
        # Whoever has the database's file can drop what forbids changes.
        guards = sql("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'")
        for name in connection.execute(guards).scalars().all():
            connection.execute(sql(f"DROP TRIGGER {name}"))
        connection.execute(update(table).where(table.c.number == 2).values(outcome="refused"))
    broken = text(admin.send("/audit", "/audit/verify"))
    assert "The chain breaks at entry 2: was changed" in broken


def test_the_export_is_filtered_and_logged_and_formulas_stay_text(site: Site, admin: Visitor) -> None:
    _did(site, "=1+1")
    answer = admin.get("/audit.csv?who=system:maker")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert row["subject"] == "'=1+1"
    with site.db.read() as connection:
        (entry,) = audit.listing(connection, audit.Filter(action="audit.export"))
    assert entry.actor == "user:root-admin"
    assert entry.after == '{"entries":1,"filters":{"who":"system:maker"}}'


@pytest.mark.parametrize("role", [Role.DEPARTMENT, Role.VIEWER])
def test_who_may_not_read_it_is_not_shown_the_way(site: Site, visitor: Come, role: Role) -> None:
    account(site, "vic", role)
    vic = visitor()
    vic.sign_in("vic")
    assert 'href="/audit"' not in vic.get("/account").text
    assert vic.get("/audit").status_code == 403
    assert vic.get("/audit.csv").status_code == 403


def _numbers(page: str) -> list[int]:
    return [int(part.partition('"')[0]) for part in page.split('id="e-')[1:]]
