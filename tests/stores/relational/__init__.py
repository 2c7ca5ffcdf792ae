"""Opening, migrating and sharing the relational database."""

import pytest

pytest.register_assert_rewrite("tests.stores.relational.sample")
