"""Policies by default too, with intervals, and since when each version is known."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_KEY = ["scope", "subject", "since_us"]
_COMMENTS = {
    "scope": "device, community, kind or default",
    "subject": "the id of that device, community or kind, or all",
}


def upgrade() -> None:
    """From versions that overwrite each other at one time to versions that are only ever added."""
    op.add_column("policies", sa.Column("interval_us", sa.BigInteger(), nullable=True))
    known = sa.Column("recorded_us", sa.BigInteger(), nullable=True, comment="since when it is known")
    op.add_column("policies", known)
    # Each held from its declaration on; what was there first, from ever.
    op.execute("UPDATE policies SET recorded_us = since_us")
    op.execute(
        "UPDATE policies SET interval_us = (SELECT interval_us FROM kinds WHERE kinds.id = policies.subject)"
        " WHERE scope = 'kind'"
    )
    # Nothing above a device could say either, so that "none" and "not said" were the same.
    op.execute("UPDATE policies SET max_lateness_us = NULL WHERE max_lateness_us = 0")
    op.execute("UPDATE policies SET clock_untrusted = NULL WHERE NOT clock_untrusted")
    with op.batch_alter_table("policies") as batch:
        batch.drop_constraint("pk_policies", type_="primary")
        batch.alter_column("recorded_us", existing_type=sa.BigInteger(), nullable=False)
        for name, comment in _COMMENTS.items():
            batch.alter_column(name, existing_type=sa.Text(), comment=comment)
        batch.create_primary_key("pk_policies", [*_KEY, "recorded_us"])
