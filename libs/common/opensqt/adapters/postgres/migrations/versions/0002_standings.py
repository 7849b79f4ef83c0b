"""Whether a grid may trade, and what is known of the orders that were put aside.

Grids that are there already trade on: their ledger was not lost. Changes that are kept for watchers
are told again as they would be told today, with a standing.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_STATEMENTS = (
    """
    ALTER TABLE state.grids
        ADD COLUMN standing text NOT NULL DEFAULT 'TRADING'
            CHECK (standing IN ('RECONCILING', 'TRADING', 'HALTED')),
        ADD COLUMN standing_reason text NOT NULL DEFAULT ''
    """,
    # From here on a new grid waits until it was compared with the exchange.
    "ALTER TABLE state.grids ALTER COLUMN standing SET DEFAULT 'RECONCILING'",
    # Field 9 of GridChange, standing, is 2, TRADING. The fields of a message come in any order, so
    # that what is put behind it is part of it.
    r"UPDATE state.changes SET payload = payload || '\x4802'::bytea",
    """
    ALTER TABLE state.quarantine
        ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY,
        ADD COLUMN updates bigint NOT NULL DEFAULT 1
    """,
    "CREATE UNIQUE INDEX quarantine_by_age ON state.quarantine (seq)",
    # What is counted by executions; the rest of an order's quote is at prices that were inferred.
    "ALTER TABLE state.orders ADD COLUMN executed_quote numeric NOT NULL DEFAULT 0",
    "ALTER TABLE state.orders ALTER COLUMN executed_quote DROP DEFAULT",
    """
    UPDATE state.orders o SET executed_quote = CASE
        WHEN o.executed_quantity = o.filled_quantity THEN o.filled_quote
        ELSE (
            SELECT coalesce(sum(e.price * e.quantity), 0)
            FROM state.executions e WHERE e.client_oid = o.client_oid
        )
    END
    WHERE o.filled_quantity > 0
    """,
    # A page of live orders, or of those in doubt, costs what is on it, however many have ended.
    """
    CREATE INDEX orders_live_by_age ON state.orders (bot_id, seq)
    WHERE status IN ('PENDING', 'UNKNOWN', 'NEW', 'PARTIALLY_FILLED')
    """,
    "DROP INDEX state.orders_live",
    """
    CREATE INDEX orders_unsettled ON state.orders (bot_id, seq)
    WHERE status IN ('PENDING', 'UNKNOWN')
        OR (cancel_requested AND status IN ('NEW', 'PARTIALLY_FILLED'))
    """,
)


def upgrade() -> None:
    """Change the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Change the tables back; that a grid was halted is forgotten."""
    op.execute("DROP INDEX state.orders_unsettled")
    op.execute("ALTER TABLE state.orders DROP COLUMN executed_quote")
    op.execute(
        "CREATE INDEX orders_live ON state.orders (bot_id)"
        " WHERE status IN ('PENDING', 'UNKNOWN', 'NEW', 'PARTIALLY_FILLED')"
    )
    op.execute("DROP INDEX state.orders_live_by_age")
    op.execute("ALTER TABLE state.quarantine DROP COLUMN seq, DROP COLUMN updates")
    op.execute("ALTER TABLE state.grids DROP COLUMN standing, DROP COLUMN standing_reason")
