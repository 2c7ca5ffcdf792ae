"""The indicators whose values are published."""

from pulse.indicators.books import Library
from pulse.indicators.indicator import Indicator
from pulse.indicators.publication import Publication
from pulse.indicators.sharing_publication import SharingPublication
from pulse.stores.relational.database import Database


def published(db: Database, library: Library) -> tuple[Indicator, ...]:
    """All of them, in the order in which their values of one moment are published."""
    return Publication(library), SharingPublication(db, library)
