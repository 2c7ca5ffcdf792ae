"""A department that fetches deliveries itself: pages of them, each kept before its cursor is committed."""

import threading

from pulse.errors import PulseError
from pulse.sharing.signing import MESSAGE, Request
from simulators.departments.description import Department
from simulators.departments.desk import Desk, NotAccepted
from simulators.departments.product import Page, Product
from simulators.departments.temper import Do

_LOOK_S = 0.05
_AHEAD = 1_000_000


class Puller:
    """Fetches while there is something, then waits `every_s`."""

    def __init__(self, department: Department, desk: Desk, product: Product, stop: threading.Event) -> None:
        self._department = department
        self._desk = desk
        self._product = product
        self._stop = stop
        self._next_s = 0.0

    @property
    def address(self) -> str:
        """Where it pulls from."""
        return f"{self._department.pulse} {self._department.name}"

    def run(self) -> None:
        """Pull until `stop`."""
        while not self._stop.wait(_LOOK_S):
            if self._desk.temper().do is Do.STOP or self._desk.clock.monotonic_s() < self._next_s:
                continue
            try:
                while not self._stop.is_set() and self.pull():
                    pass
            except NotAccepted as error:
                self._desk.refuse(str(error))
            except PulseError as error:
                self._desk.say(f"未能拉取 could not pull: {error}")
            self._next_s = self._desk.clock.monotonic_s() + self._department.every_s

    def pull(self) -> bool:
        """Fetch a page, keep it and commit its cursor; whether there may be another at once.

        Raises `NotAccepted` for content that is refused, and what the product's API answers.
        """
        cursor = self._desk.archive.cursor()
        page = self._product.page(cursor)
        if page is None:
            return False
        temper = self._desk.temper()
        if temper.do is Do.CLOSE:
            self._desk.refuse("提交前中断 broke off before the commit")
            return False
        if temper.do is Do.FUTURE:
            self._product.commit(f"{self._department.name}-{_AHEAD}")
            return False
        if temper.do is Do.SLOW:
            self._stop.wait(temper.delay_s)
        self._keep(page, forget=temper.do is Do.FORGET)
        if temper.do is Do.LOST:
            return False
        self._product.commit(page.cursor)
        self._desk.archive.put_cursor(page.cursor)
        return True

    def _keep(self, page: Page, *, forget: bool) -> None:
        self._desk.verify(Request(page.fields), page.body, MESSAGE)
        self._desk.keep(page.delivery, page.body, page.fields, forget=forget)
