"""An installation with records, and a department."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.outlets import department
from tests.outlets.department import Department
from tests.outlets.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as house:
        yield house


@pytest.fixture
def fire() -> Iterator[Department]:
    with department.serving() as served:
        yield served
