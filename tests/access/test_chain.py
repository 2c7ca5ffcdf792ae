"""Whatever is done to the rows of the audit log, the first broken link is found."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse import chain
from pulse.access.chain import Entry, digest, linked, links
from pulse.chain import Broken, Head

_TEXTS = st.one_of(st.none(), st.text(max_size=8))


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    head, entries = Head(), []
    for _ in range(draw(st.integers(1, 8))):
        entry = linked(
            head,
            at_us=draw(st.integers(0, 1 << 50)),
            actor=draw(st.text(max_size=8)),
            origin=draw(st.text(max_size=8)),
            action=draw(st.sampled_from(["sign_in", "user.create"])),
            outcome="done",
            subject=draw(st.text(max_size=8)),
            community=draw(_TEXTS),
            before=draw(_TEXTS),
            after=draw(_TEXTS),
        )
        entries.append(entry)
        head = Head(entry.number, entry.digest)
    return entries


def first_broken(entries: list[Entry], head: Head | None = None) -> Broken | None:
    return chain.first_broken(links(entries), head)


def _head(entries: list[Entry]) -> Head:
    return Head(entries[-1].number, entries[-1].digest)


@given(logs())
def test_an_untouched_log_holds(entries: list[Entry]) -> None:
    assert first_broken(entries, _head(entries)) is None
    assert first_broken(entries) is None


@given(logs(), st.data())
def test_any_altered_member_is_named(entries: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    member = data.draw(st.sampled_from([name for name in Entry._fields if name != "number"]))
    old = getattr(entries[place], member)
    new: Any = old + 1 if isinstance(old, int) else (old or "") + "x"
    changed = [*entries]
    changed[place] = entries[place]._replace(**{member: new})
    broken = first_broken(changed, _head(entries))
    assert broken is not None
    assert broken.number == entries[place].number


@given(logs(), st.data())
def test_an_altered_entry_with_a_digest_made_to_fit_breaks_the_next_one_or_the_end(
    entries: list[Entry], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    changed = [*entries]
    forged = entries[place]._replace(actor=entries[place].actor + "x")
    changed[place] = forged._replace(digest=digest(forged))
    broken = first_broken(changed, _head(entries))
    assert broken is not None
    assert broken.number == min(entries[place].number + 1, entries[-1].number)


@given(logs(), st.data())
def test_a_removed_entry_is_missed_even_at_the_end(entries: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    broken = first_broken(entries[:place] + entries[place + 1 :], _head(entries))
    assert broken is not None
    assert broken.number == entries[place].number
    assert "missing" in broken.reason


@given(logs(), st.data())
def test_an_inserted_entry_is_found(entries: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries)))
    before = Head(entries[place - 1].number, entries[place - 1].digest) if place else Head()
    forged = linked(
        before,
        at_us=1,
        actor="user:mallory",
        origin="",
        action="sign_in",
        outcome="done",
        subject="",
        community=None,
        before=None,
        after=None,
    )
    broken = first_broken([*entries[:place], forged, *entries[place:]], _head(entries))
    assert broken is not None
    assert broken.number in {forged.number, forged.number + 1}


@given(logs().filter(lambda entries: len(entries) > 1), st.data())
def test_entries_that_changed_places_are_found(entries: list[Entry], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries) - 2))
    swapped = [*entries]
    swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
    broken = first_broken(swapped, _head(entries))
    assert broken is not None
    assert broken.number == entries[place].number
    renumbered = [entry._replace(number=number) for number, entry in enumerate(swapped, 1)]
    assert first_broken(renumbered, _head(entries)) is not None


def test_members_cannot_lend_each_other_characters() -> None:
    members = {"at_us": 1, "origin": "", "action": "a", "outcome": "done", "community": None}
    one = linked(Head(), actor="ab", subject="c", before=None, after=None, **members)
    other = linked(Head(), actor="a", subject="bc", before=None, after=None, **members)
    absent = linked(Head(), actor="ab", subject="c", before=None, after="", **members)
    assert len({one.digest, other.digest, absent.digest}) == 3


@pytest.mark.parametrize("head", [None, Head()])
def test_an_empty_log_holds(head: Head | None) -> None:
    assert first_broken([], head) is None


def test_an_emptied_log_does_not() -> None:
    broken = first_broken([], Head(3, "0" * 64))
    assert broken == Broken(1, "missing: the chain ends at 0, it had 3 links", "缺失：链止于 0，原有 3 条")
