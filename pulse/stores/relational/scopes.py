"""Scopes in the three columns that tables about some devices share."""

from typing import Any

from sqlalchemy import Row

from pulse.ledger.model import Scope


def columns(scope: Scope) -> dict[str, str | None]:
    """The scope as values of its columns."""
    return {"device": scope.device, "kind": scope.kind, "community": scope.community}


def scope(row: Row[Any]) -> Scope:
    """The scope of a row."""
    return Scope(row.device, row.kind, row.community)
