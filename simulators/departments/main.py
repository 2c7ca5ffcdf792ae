"""All departments of a description in one process: made, run until told to stop, told of at the end."""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from pulse.clock import Clock, SystemClock, to_iso
from pulse.errors import BadInput, NotFound
from simulators.departments.archive import Archive
from simulators.departments.control import REPORT, Control, Controlled, Order
from simulators.departments.description import Department, Description
from simulators.departments.desk import Desk
from simulators.departments.product import Product
from simulators.departments.puller import Puller
from simulators.departments.receiver import Receiver
from simulators.departments.reporter import Reporter
from simulators.departments.subscriber import Subscriber
from simulators.departments.temper import Do, Mood

CONTROL_FILE = "control.json"
"""In the folder of what is kept: where the running departments can be told something."""

_LOOK_S = 0.05
_ENDS_WITHIN_S = 3.0


class Way(Protocol):
    """How deliveries come in."""

    @property
    def address(self) -> str:
        """Where they come in, for people."""
        ...

    def run(self) -> None:
        """Take them until the end."""
        ...


class Running:
    """A department with all its parts."""

    def __init__(
        self,
        department: Department,
        description: Description,
        folder: Path | None,
        clock: Clock,
        say: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        zone = description.zone()
        self.department = department
        self.archive = Archive(None if folder is None else folder / f"{department.id}.db", zone)
        mood = Mood(department.behaviour, clock.monotonic_s())
        self.desk = Desk(department.id, department.read_keys(), self.archive, mood, clock, say)
        self.product = (
            Product(department.pulse, department.name, department.read_token()) if department.pulse else None
        )
        self.reporter = (
            Reporter(self.desk, self.product, zone, department.report_every_s, stop) if self.product else None
        )
        self.way = self._way(stop)

    def _way(self, stop: threading.Event) -> Way:
        if self.department.receives == "http":
            return Receiver(self.department, self.desk, stop)
        if self.department.receives == "mqtt":
            return Subscriber(self.department, self.desk, stop)
        if self.product is None:
            raise BadInput("须给出 pulse 地址 / needs the address of pulse", where=self.department.id)
        return Puller(self.department, self.desk, self.product, stop)

    def shown(self) -> dict[str, Any]:
        """How it stands, for programs."""
        totals = self.archive.totals()
        return {
            "department": self.department.id,
            "outlet": self.department.name,
            "receives": self.department.receives,
            "address": self.way.address,
            "behaviour": str(self.desk.temper().do),
            "deliveries": totals.deliveries,
            "again": totals.copies,
            "records": dict(totals.records),
            "refused": dict(self.desk.refused),
            "last": None if self.desk.last_us is None else to_iso(self.desk.last_us),
        }

    def tell(self, order: Order) -> dict[str, Any]:
        """Do as told. Raises `BadInput` for what such a department cannot do, and the product's errors."""
        if order.do == REPORT:
            if self.reporter is None:
                raise BadInput("没有 pulse 地址 / has no address of pulse to report to", where="do")
            return {"department": self.department.id, "reports": self.reporter.now()}
        came_back = self.desk.temper().do is Do.STOP
        self.desk.tell(order.temper().checked(self.department.receives, "do"), order.for_s)
        if came_back and self.reporter is not None:
            self.reporter.soon()
        return self.shown()

    def close(self) -> None:
        """Give everything back."""
        self.archive.close()
        if self.product is not None:
            self.product.close()


@contextlib.contextmanager
def running(
    description: Description,
    *,
    stop: threading.Event,
    folder: Path | None = None,
    clock: Clock | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Iterator[tuple[dict[str, Running], Control]]:
    """The departments by id while the block lasts; `folder` keeps what they accept.

    Raises `BadInput` for what cannot be read, opened or listened on.
    """
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as open_now:
        departments: dict[str, Running] = {}
        for one in description.departments:
            made = Running(one, description, folder, clock or SystemClock(), say, stop)
            open_now.callback(made.close)
            departments[one.id] = made
        control = Control(description.control_port, _controlled(departments))
        open_now.callback(control.close)
        threads = [
            threading.Thread(target=work, name=f"{made.department.id}-{part}", daemon=True)
            for made in departments.values()
            for part, work in (
                ("way", made.way.run),
                *((("reports", made.reporter.run),) if made.reporter is not None else ()),
            )
        ]
        for thread in threads:
            thread.start()
        if folder is not None:
            _note(folder / CONTROL_FILE, control.address)
        try:
            yield departments, control
        finally:
            stop.set()
            for thread in threads:
                thread.join(_ENDS_WITHIN_S)
            if folder is not None:
                (folder / CONTROL_FILE).unlink(missing_ok=True)


def simulate(
    description: Description,
    *,
    stop: threading.Event,
    folder: Path | None = None,
    for_s: float | None = None,
    once: bool = False,
    clock: Clock | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> list[dict[str, Any]]:
    """Run until `stop`, for `for_s` seconds, or with `once` until each department has one delivery.

    Gives how each stood at the end. Raises `BadInput`.
    """
    clock = clock or SystemClock()
    began_s = clock.monotonic_s()
    with running(description, stop=stop, folder=folder, clock=clock, say=say) as (departments, control):
        for made in departments.values():
            made.desk.say(f"{made.department.receives}  {made.way.address}")
        say(f"控制 control  {control.address}/control")
        while not stop.wait(_LOOK_S):
            if for_s is not None and clock.monotonic_s() - began_s >= for_s:
                break
            if once and all(made.desk.last_us is not None for made in departments.values()):
                break
        stop.set()
        return [made.shown() for made in departments.values()]


def _controlled(departments: dict[str, Running]) -> Controlled:
    def tell(department: str, order: Order) -> dict[str, Any]:
        if department not in departments:
            known = ", ".join(departments)
            raise NotFound(
                f"没有部门 {department[:64]} / there is no department {department[:64]}; there are {known}"
            )
        return departments[department].tell(order)

    return Controlled(lambda: [made.shown() for made in departments.values()], tell)


def _note(path: Path, address: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"address": address, "pid": os.getpid()}) + "\n", encoding="utf-8")
    new.replace(path)
