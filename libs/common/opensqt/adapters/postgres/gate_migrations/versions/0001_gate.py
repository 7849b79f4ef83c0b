"""The gate's history. Times are nanoseconds since 1970 UTC."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE risk.gate_changes (
            account text NOT NULL,
            revision bigint NOT NULL CHECK (revision > 0),
            open boolean NOT NULL,
            reason text NOT NULL,
            changed_by text NOT NULL,
            changed_ns bigint NOT NULL,
            action text NOT NULL CHECK (action IN ('CREATED', 'TRIPPED', 'RESET', 'ADOPTED')),
            request_id text NOT NULL,
            argument text NOT NULL,
            PRIMARY KEY (account, revision)
        )
        """
    )
    op.execute(
        """
        CREATE UNIQUE INDEX gate_changes_request ON risk.gate_changes (account, request_id)
        WHERE request_id <> ''
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE risk.gate_changes")
