"""`pulse user`, `pulse token` and `pulse audit`, as the operator runs them."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, text, update
from typer.testing import CliRunner

from pulse.access import passwords, people
from pulse.access.roles import Actor
from pulse.cli import app
from pulse.clock import SystemClock
from pulse.errors import BadInput, Conflict, NotFound, PulseError
from pulse.registry.model import Community
from pulse.stores.relational import audit, registry, users
from pulse.stores.relational.database import Database
from pulse.stores.relational.tables import audit as audit_table

PASSWORD = "rain on the quiet tin roof"
ENTRIES = 4


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULSE_DATA_DIR", str(tmp_path))
    with opened(tmp_path) as db, db.write() as connection:
        registry.put_communities(connection, [Community("xinjinglou", "新景楼", "")], 1)
    return tmp_path


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{folder / 'pulse.db'}")
    db.open()
    with closing(db):
        yield db


def run(*words: str, given: str | None = None) -> tuple[str, str]:
    """Standard output and standard error; errors of ours are raised."""
    result = CliRunner().invoke(app, words, input=given)
    if isinstance(result.exception, PulseError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout, result.stderr


def admin() -> None:
    run("user", "create", "alice", "--admin", "--password-stdin", given=PASSWORD + "\n")


def test_an_account_made_with_a_password_has_it(folder: Path) -> None:
    out, _ = run(
        *("user", "create", "alice", "--admin", "--display", "刘 Alice", "--password-stdin"),
        given=PASSWORD + "\n",
    )
    assert out == ""
    with opened(folder) as db, db.read() as connection:
        user = people.must_be(connection, "alice")
    assert passwords.matches(PASSWORD, user.password_hash)
    assert (user.display, str(user.role), user.communities) == ("刘 Alice", "admin", None)


def test_an_account_without_a_password_gets_a_link_that_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_PUBLIC_URL", "https://pulse.example.org/")
    out, _ = run("user", "create", "bob", "--role", "manager", "--community", "xinjinglou")
    link = re.fullmatch(r"https://pulse\.example\.org/welcome#(\S+)\n", out)
    assert link is not None, out
    with opened(folder) as db, db.read() as connection:
        invited = people.whom(connection, link[1], SystemClock().now_us())
    assert invited is not None
    assert (invited.name, invited.communities) == ("bob", frozenset({"xinjinglou"}))


def test_a_terminal_is_asked_twice_without_echo(folder: Path) -> None:
    ours, theirs = pty.openpty()
    said = io.BytesIO()
    command = [sys.executable, "-m", "pulse", "user", "create", "carol", "--admin"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        waiting = threading.Timer(60, process.kill)
        waiting.start()
        answers = [b"Password", b"Again"]
        while True:
            try:
                piece = os.read(ours, 1024)
            except OSError:
                break
            said.write(piece)
            # The space comes once nothing is echoed any more; what is typed before it is thrown away.
            if answers and answers[0] in said.getvalue() and said.getvalue().endswith(b": "):
                answers.pop(0)
                os.write(ours, PASSWORD.encode() + b"\n")
        os.close(ours)
        waiting.cancel()
    assert process.returncode == 0, said.getvalue().decode()
    assert not answers
    assert PASSWORD.encode() not in said.getvalue()
    with opened(folder) as db, db.read() as connection:
        assert passwords.matches(PASSWORD, people.must_be(connection, "carol").password_hash)


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("user", "create", "bob", "--role", "manger", "--all-communities"), "--role: 'manger'.*manager"),
        (("user", "create", "bob", "--role", "manager"), "--community: .*--all-communities"),
        (("user", "create", "bob", "--role", "viewer", "--community", "x"), "'x'.*xinjinglou"),
        (("user", "create", "bob"), "--admin or --role"),
        (("user", "create", "Bob!", "--admin"), "name: 'Bob!'"),
        (("user", "change", "alice"), "nothing to change"),
        (("user", "change", "alice", "--community", "x", "--all-communities"), "--all-communities: "),
        (("user", "password", "alice"), "--password-stdin"),
        (("token", "create", "alice", "--label", "x", "--scope", "all"), "scopes: 'all'.*devices:read"),
        (("token", "create", "alice", "--label", "x", "--scope", "devices:read", "--days", "999"), "days: "),
        (("audit", "list", "--outcome", "fine"), "--outcome: .*refused"),
        (("audit", "list", "--from", "today"), "--from: 'today'"),
        (("audit", "verify", "--head", "7"), "--head: .*NUMBER:DIGEST"),
        (("audit", "export", "log.txt"), "log.txt: .*csv"),
    ],
)
def test_what_cannot_be_is_named_with_what_can(words: tuple[str, ...], wrong: str) -> None:
    admin()
    with pytest.raises(BadInput, match=wrong):
        run(*words)


@pytest.mark.parametrize(
    "words",
    [
        *(("user", word, "nobody") for word in ("disable", "enable", "unlock", "invite", "password")),
        ("user", "change", "nobody", "--display", "x"),
        ("token", "create", "nobody", "--label", "x", "--scope", "devices:read"),
        ("token", "list", "nobody"),
        ("token", "revoke", "17"),
    ],
)
def test_what_does_not_exist_is_said(words: tuple[str, ...]) -> None:
    with pytest.raises(NotFound, match=r"nobody|17"):
        run(*words)


def test_a_weak_password_makes_no_account(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"password: .*15"):
        run("user", "create", "bob", "--admin", "--password-stdin", given="short\n")
    with opened(folder) as db, db.read() as connection:
        assert users.named(connection, "bob") is None


def test_accounts_are_changed_disabled_and_listed() -> None:
    admin()
    run("user", "create", "bob", "--role", "manager", "--community", "xinjinglou")
    run("user", "change", "bob", "--role", "viewer", "--all-communities", "--display", "Bob")
    run("user", "disable", "bob")
    out, _ = run("user", "list")
    assert re.search(r"^bob  viewer  .*all communities  .*disabled  Bob$", out, re.MULTILINE)
    run("user", "enable", "bob")
    assert "disabled" not in run("user", "list")[0]
    with pytest.raises(Conflict, match="last administrator"):
        run("user", "disable", "alice")
    assert (
        "alice" in run("user", "password", "alice", "--password-stdin", given="another fine evening sky\n")[1]
    )
    run("user", "unlock", "alice")


def test_a_token_is_told_once_and_listed_without_its_secret() -> None:
    admin()
    out, _ = run("token", "create", "alice", "--label", "report", "--scope", "devices:read", "--days", "30")
    secret = out.strip()
    assert re.fullmatch(r"pulse_[A-Za-z0-9_-]{43}", secret)
    listed, _ = run("token", "list")
    assert secret not in listed
    assert secret[:10] in listed
    run("token", "revoke", "1")
    assert "revoked" in run("token", "list", "alice")[0]


def test_the_log_tells_who_did_it_and_filters() -> None:
    admin()
    run("user", "create", "bob", "--role", "viewer", "--all-communities")
    lines = [json.loads(line) for line in run("audit", "list", "--json")[0].splitlines()]
    assert [entry["action"] for entry in lines] == ["user.invite", "user.create", "user.create"]
    assert all(entry["actor"].startswith("cli:") for entry in lines)
    assert lines[1]["after"]["role"] == "viewer"
    found = run("audit", "list", "--action", "user.create", "--subject", "user:bob", "--limit", "5")[0]
    assert len(found.splitlines()) == 1
    assert run("audit", "list", "--from", lines[0]["at"], "--to", lines[0]["at"])[0] == ""


def _entries() -> str:
    """Write `ENTRIES` entries; gives the head that was printed."""
    admin()
    run("user", "create", "bob", "--role", "viewer", "--all-communities")
    run("user", "unlock", "bob")
    counted, head = run("audit", "verify")[0].splitlines()
    assert f"{ENTRIES} entries hold" in counted
    return head


def test_a_noted_head_goes_on_holding_while_the_log_grows() -> None:
    noted = _entries()
    run("user", "unlock", "bob")
    assert run("audit", "verify", "--head", noted)[0].splitlines()[1].startswith(f"{ENTRIES + 1}:")


@pytest.mark.parametrize(
    ("damage", "broken"),
    [
        (update(audit_table).where(audit_table.c.number == 2).values(actor="cli:nobody"), 2),
        (delete(audit_table).where(audit_table.c.number == 3), 3),
        (delete(audit_table).where(audit_table.c.number == ENTRIES), ENTRIES),
    ],
)
def test_the_first_broken_link_is_named(folder: Path, damage: object, broken: int) -> None:
    _entries()
    with opened(folder) as db, db.write() as connection:
        _let_it_be_damaged(connection)
        connection.execute(damage)  # type: ignore[call-overload]
    with pytest.raises(PulseError, match=f"at entry {broken}:") as raised:
        run("audit", "verify")
    # `main` ends with status 2 for these, with 1 for the others.
    assert not isinstance(raised.value, BadInput)


def test_a_log_written_anew_or_cut_off_does_not_fit_a_noted_head(folder: Path) -> None:
    noted = _entries()
    with opened(folder) as db, db.write() as connection:
        _let_it_be_damaged(connection)
        connection.execute(delete(audit_table))
        connection.execute(text("DELETE FROM meta WHERE key = 'audit_head'"))
    with pytest.raises(PulseError, match="at entry 1: missing"):
        run("audit", "verify", "--head", noted)
    for _ in range(ENTRIES):
        run("user", "unlock", "bob")
    run("audit", "verify")
    with pytest.raises(PulseError, match=f"at entry {ENTRIES}: is not the one that was noted"):
        run("audit", "verify", "--head", noted)


def test_an_export_is_logged_holds_all_and_keeps_formulas_text(folder: Path, tmp_path: Path) -> None:
    admin()
    with opened(folder) as db, db.write() as connection:
        user = people.must_be(connection, "alice")
        named = people.Change(display="=cmd()|'/c calc'!A1")
        changed = people.change(connection, _actor(), user, named, 5)
        assert changed.display.startswith("=")
    out = tmp_path / "log.csv"
    run("audit", "export", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8-sig"))))
    assert [row["action"] for row in rows] == ["user.create", "user.change", "audit.export"]
    assert rows[1]["actor"] == "'=cmd()"
    whole = tmp_path / "log.jsonl"
    run("audit", "export", str(whole))
    assert json.loads(whole.read_text().splitlines()[1])["actor"] == "=cmd()"
    with pytest.raises(BadInput, match="exists"):
        run("audit", "export", str(out))


def test_fault_29_names_that_look_like_formulas_stay_text_in_the_registry_s_file_and_come_back(
    folder: Path, tmp_path: Path
) -> None:
    names = ("=cmd()|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "＝1", "门")
    with opened(folder) as db, db.write() as connection:
        before = [Community(f"c-{number}", name, name) for number, name in enumerate(names)]
        registry.put_communities(connection, before, 5)
    exported, _ = run("registry", "export", "--what", "communities")
    cells = [cell for row in csv.reader(io.StringIO(exported.removeprefix("\ufeff"))) for cell in row]
    assert not [cell for cell in cells if cell[:1] in {"=", "+", "-", "@", "＝", "\t", "\r"}]
    file = tmp_path / "communities.csv"
    file.write_text(exported, encoding="utf-8")
    assert "0" in run("registry", "import", "--what", "communities", str(file))[0]
    with opened(folder) as db, db.read() as connection:
        assert registry.communities(connection)[: len(before)] == before
        (noted,) = audit.listing(connection, audit.Filter(action="registry.export"))
    assert json.loads(str(noted.after))["what"] == "communities"


def _let_it_be_damaged(connection: Connection) -> None:
    """What somebody with the database's own tools can do."""
    triggers = text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'")
    for name in connection.execute(triggers).scalars().all():
        connection.execute(text(f"DROP TRIGGER {name}"))


def _actor() -> Actor:
    """One whose name a spreadsheet would calculate."""
    return Actor("=cmd()", frozenset(), None)
