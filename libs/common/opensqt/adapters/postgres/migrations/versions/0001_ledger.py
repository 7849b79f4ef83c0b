"""The ledger's tables: grids, slots, orders, executions, batches, changes, quarantine.

Times are nanoseconds since 1970 UTC: PostgreSQL's timestamps keep microseconds only, and times are
compared exactly here. There are no foreign keys: a change is written whole, by one statement, and
the keys' checks would lie on the way from tick to wire.
"""

from alembic import op

revision = "0001"
down_revision = None

_STATEMENTS = (
    """
    CREATE TABLE state.grids (
        bot_id text PRIMARY KEY,
        bot_tag text NOT NULL UNIQUE,
        account text NOT NULL,
        symbol text NOT NULL,
        quote text NOT NULL,
        direction text NOT NULL CHECK (direction IN ('LONG', 'SHORT', 'NEUTRAL')),
        anchor numeric NOT NULL CHECK (anchor > 0),
        "interval" numeric NOT NULL CHECK ("interval" > 0),
        epoch bigint NOT NULL,
        created_ns bigint NOT NULL,
        revision bigint NOT NULL DEFAULT 0,
        realised_pnl numeric NOT NULL DEFAULT 0,
        fees numeric NOT NULL DEFAULT 0,
        fills bigint NOT NULL DEFAULT 0,
        buys bigint NOT NULL DEFAULT 0,
        sells bigint NOT NULL DEFAULT 0,
        orders bigint NOT NULL DEFAULT 0,
        fees_unknown bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE state.orders (
        client_oid text PRIMARY KEY,
        seq bigint GENERATED ALWAYS AS IDENTITY,
        bot_id text NOT NULL,
        symbol text NOT NULL,
        side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
        purpose text NOT NULL CHECK (purpose IN ('OPEN', 'CLOSE')),
        price numeric NOT NULL CHECK (price > 0),
        quantity numeric NOT NULL CHECK (quantity > 0),
        slot_price numeric NOT NULL,
        cycle bigint NOT NULL,
        reduce_only boolean NOT NULL,
        post_only boolean NOT NULL,
        exit_price numeric,
        batch_id text NOT NULL,
        created_ns bigint NOT NULL,
        deadline_ns bigint NOT NULL,
        updated_ns bigint NOT NULL,
        status text NOT NULL CHECK (status IN (
            'PENDING', 'UNKNOWN', 'NEW', 'PARTIALLY_FILLED', 'FILLED', 'CANCELED', 'EXPIRED',
            'REJECTED', 'NOT_PLACED'
        )),
        filled_quantity numeric NOT NULL CHECK (filled_quantity BETWEEN 0 AND quantity),
        filled_quote numeric NOT NULL,
        executed_quantity numeric NOT NULL,
        exchange_order_id text NOT NULL,
        cancel_requested boolean NOT NULL,
        end_reason text NOT NULL,
        end_text text NOT NULL
    ) WITH (fillfactor = 80)
    """,
    "CREATE UNIQUE INDEX orders_by_age ON state.orders (bot_id, seq)",
    "CREATE INDEX orders_by_batch ON state.orders (batch_id)",
    """
    CREATE INDEX orders_by_exchange_id ON state.orders (symbol, exchange_order_id)
    WHERE exchange_order_id <> ''
    """,
    """
    CREATE INDEX orders_live ON state.orders (bot_id)
    WHERE status IN ('PENDING', 'UNKNOWN', 'NEW', 'PARTIALLY_FILLED')
    """,
    """
    CREATE TABLE state.slots (
        bot_id text NOT NULL,
        price numeric NOT NULL,
        status text NOT NULL CHECK (status IN ('FREE', 'PENDING', 'LOCKED')),
        client_oid text,
        position_qty numeric NOT NULL,
        entry_cost numeric NOT NULL,
        exit_price numeric,
        cycle bigint NOT NULL,
        blocked_until_ns bigint NOT NULL,
        rejections integer NOT NULL,
        revision bigint NOT NULL,
        PRIMARY KEY (bot_id, price),
        CHECK ((client_oid IS NULL) = (status = 'FREE'))
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE state.executions (
        seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        bot_id text NOT NULL,
        client_oid text NOT NULL,
        execution_id text NOT NULL,
        symbol text NOT NULL,
        side text NOT NULL,
        price numeric NOT NULL,
        quantity numeric NOT NULL,
        fee numeric,
        fee_asset text NOT NULL,
        maker boolean NOT NULL,
        exchange_time_ns bigint NOT NULL,
        realised_pnl numeric,
        slot_price numeric,
        exchange_order_id text NOT NULL,
        -- Not the symbol and the execution's id alone: an account that trades with itself has the
        -- same execution on both of its orders.
        UNIQUE (client_oid, execution_id)
    )
    """,
    "CREATE INDEX executions_by_age ON state.executions (bot_id, seq)",
    """
    CREATE TABLE state.batches (
        bot_id text NOT NULL,
        batch_id text NOT NULL,
        revision bigint NOT NULL,
        placed text[] NOT NULL,
        canceled text[] NOT NULL,
        request_id text NOT NULL,
        PRIMARY KEY (bot_id, batch_id)
    )
    """,
    """
    CREATE UNIQUE INDEX batches_by_request ON state.batches (bot_id, request_id)
    WHERE request_id <> ''
    """,
    "CREATE INDEX batches_by_age ON state.batches (bot_id, revision)",
    """
    CREATE TABLE state.changes (
        bot_id text NOT NULL,
        revision bigint NOT NULL,
        payload bytea NOT NULL,
        PRIMARY KEY (bot_id, revision)
    )
    """,
    "COMMENT ON COLUMN state.changes.payload IS 'opensqt.market_maker.v1.GridChange'",
    """
    CREATE TABLE state.published (
        bot_id text PRIMARY KEY,
        revision bigint NOT NULL
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE state.quarantine (
        account text NOT NULL,
        symbol text NOT NULL,
        exchange_order_id text NOT NULL,
        client_oid text NOT NULL,
        reason text NOT NULL,
        noted_ns bigint NOT NULL,
        payload bytea NOT NULL,
        PRIMARY KEY (account, symbol, exchange_order_id, client_oid)
    )
    """,
    "COMMENT ON COLUMN state.quarantine.payload IS 'opensqt.market_maker.v1.OrderUpdate'",
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables, with everything in them."""
    for table in (
        "quarantine", "published", "changes", "batches", "executions", "slots", "orders", "grids",
    ):  # fmt: skip
        op.execute(f"DROP TABLE state.{table}")
