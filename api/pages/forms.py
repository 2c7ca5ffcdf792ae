"""Forms of the pages: their fields, checked against the token that they carry, and what was wrong in them."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Request
from starlette.datastructures import FormData

from api import problem_kinds as kinds
from api.auth.cookies import check_before
from api.auth.guard import check_field, check_site, field_checked
from api.auth.identity import Known, identity
from api.negotiate import Language
from api.problems import Problem
from pulse.access.entry import Present
from pulse.errors import BadInput, Conflict, NotFound

TOKEN = "form"  # noqa: S105 - the name of the field
_MOST_FIELDS = 500


class Fields:
    """The fields of a form as text; what was not sent is empty."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def one(self, name: str) -> str:
        """The field of that name."""
        value = self._data.get(name)
        return value if isinstance(value, str) else ""

    def many(self, name: str) -> list[str]:
        """Every field of that name: the boxes that are checked."""
        return [value for value in self._data.getlist(name) if isinstance(value, str)]


class Person(NamedTuple):
    """Somebody who is signed in."""

    known: Known
    present: Present


def signed_in(request: Request) -> Person:
    """Who is signed in with this browser. Raises `Problem` when nobody is."""
    known = identity(request).of(request)
    if known.present is None:
        raise Problem(kinds.SIGN_IN_REQUIRED)
    return Person(known, known.present)


async def body(request: Request) -> Fields:
    """The form as it was sent, not checked."""
    return Fields(await request.form(max_files=0, max_fields=_MOST_FIELDS))


@field_checked
def posted(
    request: Request, person: Annotated[Person, Depends(signed_in)], fields: Annotated[Fields, Depends(body)]
) -> Fields:
    """A form of somebody who is signed in, from our own page. Raises `Problem`."""
    check_site(request, person.known)
    check_field(request, person.known, fields.one(TOKEN))
    return fields


def posted_before(request: Request, fields: Annotated[Fields, Depends(body)]) -> Fields:
    """A form of somebody who is about to sign in, from our own page. Raises `Problem`."""
    check_before(request, identity(request).of(request), fields.one(TOKEN))
    return fields


Posted = Annotated[Fields, Depends(posted)]
PostedBefore = Annotated[Fields, Depends(posted_before)]
SignedIn = Annotated[Person, Depends(signed_in)]


class Faults(dict[str, str]):
    """What is wrong by field, in the reader's language; the empty name is for what is about no field."""

    def __missing__(self, field: str) -> str:
        return ""


def wrong(error: BadInput | Conflict | NotFound, language: Language) -> Faults:
    """What an error says, at its field."""
    where, reason = (error.where or "", error.reason) if isinstance(error, BadInput) else ("", str(error))
    zh, separator, en = reason.rpartition(" / ")
    return Faults({where: reason if not separator else zh if language == "zh" else en})
