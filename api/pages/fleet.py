"""The page that lists devices: which match the filters, how many are in each state, one page of them."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from api import listing
from api.context import Context
from api.listing import Filters
from api.pages.board import Listed, Names, read_names, read_records
from api.present import Present
from pulse.indicators.books import AsOf
from pulse.indicators.within import Within

ROWS = 100


class Fleet(NamedTuple):
    """One page of the devices that match `filters`; `counts` by state leave the states' filter out."""

    as_of: AsOf
    names: Names
    filters: Filters
    rows: list[Listed]
    found: int
    counts: Mapping[str, int]
    registered: int
    after: str
    following: str | None
    """Address of the next page."""

    @property
    def csv(self) -> str:
        """Address of all matching devices as CSV."""
        return f"/api/v1/devices?{query(self.filters, format='csv')}"

    @property
    def first(self) -> str:
        """Address of the first page."""
        return f"/devices?{query(self.filters)}"


def query(filters: Filters, **more: str) -> str:
    """The filters as a query string, those that filter nothing left out."""
    members = [("state", state) for state in filters.states]
    members += [
        (name, value)
        for name, value in (("community", filters.community), ("kind", filters.kind), ("q", filters.q))
        if value
    ]
    return urlencode([*members, *more.items()])


def fleet(context: Context, present: Present, filters: Filters, after: str, within: Within) -> Fleet:
    """Gather the page that follows the device `after`, of the communities `within`."""
    as_of, statuses = present.devices(within)
    names = read_names(context, within)
    records = read_records(context, within)
    of_any_state = listing.select(statuses, records, filters._replace(states=()))
    matching = [item for item in of_any_state if not filters.states or item["state"] in filters.states]
    by_device = {status.device: status for status in statuses}
    rest = [str(item["id"]) for item in matching if item["id"] > after]
    rows = [names.listed(records[id_], by_device[id_], as_of.at_us) for id_ in rest[:ROWS]]
    following = f"/devices?{query(filters, after=rest[ROWS - 1])}" if len(rest) > ROWS else None
    return Fleet(
        as_of=as_of,
        names=names,
        filters=filters,
        rows=rows,
        found=len(matching),
        counts=Counter(item["state"] for item in of_any_state),
        registered=len(records),
        after=after,
        following=following,
    )
