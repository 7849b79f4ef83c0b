"""The store's SQL.

A change is one statement, so that a transaction is one round trip to the server: its first part
moves the grid's revision on if it is the expected one, and everything else hangs on that part.
"""

from typing import Final

# ruff: noqa: S608 - composed of constants; values are parameters, always

CHANNEL: Final = "opensqt_state"
"""Commits are notified here, as ``<origin> <bot>``."""

_COMMIT: Final = """
WITH grid AS (
    UPDATE state.grids
    SET revision = %(revision)s, realised_pnl = %(realised_pnl)s, fees = %(fees)s,
        fills = %(fills)s, buys = %(buys)s, sells = %(sells)s, orders = %(orders)s,
        fees_unknown = %(fees_unknown)s, standing = %(standing)s,
        standing_reason = %(standing_reason)s
    WHERE bot_id = %(bot_id)s AND revision = %(revision)s - 1
    RETURNING bot_id
), change AS (
    INSERT INTO state.changes (bot_id, revision, payload)
    SELECT bot_id, %(revision)s, %(payload)s FROM grid
), kept_orders AS (
    INSERT INTO state.orders AS o (
        client_oid, bot_id, symbol, side, purpose, price, quantity, slot_price, cycle, reduce_only,
        post_only, exit_price, batch_id, created_ns, deadline_ns, updated_ns, status,
        filled_quantity, filled_quote, executed_quantity, executed_quote, exchange_order_id,
        cancel_requested, end_reason, end_text
    )
    SELECT
        n.client_oid, n.bot_id, n.symbol, n.side, n.purpose, n.price, n.quantity, n.slot_price,
        n.cycle, n.reduce_only, n.post_only, n.exit_price, n.batch_id, n.created_ns, n.deadline_ns,
        n.updated_ns, n.status, n.filled_quantity, n.filled_quote, n.executed_quantity,
        n.executed_quote, n.exchange_order_id, n.cancel_requested, n.end_reason, n.end_text
    FROM grid, json_populate_recordset(NULL::state.orders, %(order_rows)s::json) n
    ON CONFLICT (client_oid) DO UPDATE SET
        updated_ns = excluded.updated_ns, status = excluded.status,
        filled_quantity = excluded.filled_quantity, filled_quote = excluded.filled_quote,
        executed_quantity = excluded.executed_quantity, executed_quote = excluded.executed_quote,
        exchange_order_id = excluded.exchange_order_id,
        cancel_requested = excluded.cancel_requested,
        end_reason = excluded.end_reason, end_text = excluded.end_text
), kept_slots AS (
    INSERT INTO state.slots AS s
    SELECT n.* FROM grid, json_populate_recordset(NULL::state.slots, %(slot_rows)s::json) n
    ON CONFLICT (bot_id, price) DO UPDATE SET
        status = excluded.status, client_oid = excluded.client_oid,
        position_qty = excluded.position_qty, entry_cost = excluded.entry_cost,
        exit_price = excluded.exit_price, cycle = excluded.cycle,
        blocked_until_ns = excluded.blocked_until_ns, rejections = excluded.rejections,
        revision = excluded.revision
)"""
_BATCH: Final = """, batch AS (
    INSERT INTO state.batches
    SELECT b.* FROM grid, json_populate_recordset(NULL::state.batches, %(batches)s::json) b
)"""
_EXECUTIONS: Final = """, kept_executions AS (
    INSERT INTO state.executions (
        bot_id, client_oid, execution_id, symbol, side, price, quantity, fee, fee_asset, maker,
        exchange_time_ns, realised_pnl, slot_price, exchange_order_id
    )
    SELECT
        n.bot_id, n.client_oid, n.execution_id, n.symbol, n.side, n.price, n.quantity, n.fee,
        n.fee_asset, n.maker, n.exchange_time_ns, n.realised_pnl, n.slot_price, n.exchange_order_id
    FROM grid, json_populate_recordset(NULL::state.executions, %(execution_rows)s::json) n
)"""
_DONE: Final = """
SELECT 1 FROM grid
"""

COMMIT: Final = {
    (has_batch, has_executions): _COMMIT + _BATCH * has_batch + _EXECUTIONS * has_executions + _DONE
    for has_batch in (False, True)
    for has_executions in (False, True)
}
"""Writes a change; answers with one row, or with none when the grid is at another revision.

By whether the change has a batch, and executions: what has nothing to do still takes its time.
"""

NOTIFY: Final = f"SELECT pg_notify('{CHANNEL}', notice) FROM unnest(%s::text[]) AS notice"
"""Tells the other replicas. Not part of a commit: commits that notify wait for each other."""

REGISTER: Final = f"""
WITH grid AS (
    INSERT INTO state.grids (
        bot_id, bot_tag, account, symbol, quote, direction, anchor, "interval", epoch, created_ns,
        standing
    )
    VALUES (
        %(bot_id)s, %(bot_tag)s, %(account)s, %(symbol)s, %(quote)s, %(direction)s, %(anchor)s,
        %(interval)s, %(epoch)s, %(created_ns)s, %(standing)s
    )
    ON CONFLICT DO NOTHING
    RETURNING bot_id
), published AS (
    INSERT INTO state.published (bot_id, revision) SELECT bot_id, 0 FROM grid
)
SELECT pg_notify('{CHANNEL}', %(notice)s) FROM grid
"""
"""Creates a grid; answers with one row, or with none when its name or tag is taken."""

REVISION: Final = "SELECT revision FROM state.grids WHERE bot_id = %s"
GRID: Final = "SELECT * FROM state.grids WHERE bot_id = %s"
GRID_FOR_UPDATE: Final = "SELECT * FROM state.grids WHERE bot_id = %s FOR UPDATE"
GRIDS: Final = 'SELECT * FROM state.grids ORDER BY bot_id COLLATE "C"'
BOTS: Final = "SELECT bot_id FROM state.grids"
BOT_OF_TAG: Final = "SELECT bot_id FROM state.grids WHERE bot_tag = %s"
SLOTS: Final = "SELECT * FROM state.slots WHERE bot_id = %s ORDER BY price"
BATCHES: Final = """
SELECT * FROM state.batches
WHERE bot_id = %(bot_id)s
    AND (batch_id = %(batch_id)s OR (request_id <> '' AND request_id = %(request_id)s))
"""

_LIVE: Final = "o.status IN ('PENDING', 'UNKNOWN', 'NEW', 'PARTIALLY_FILLED')"
_ORDERS: Final = """
SELECT o.*, ARRAY(
    SELECT e.execution_id FROM state.executions e WHERE e.client_oid = o.client_oid
) AS execution_ids
FROM state.orders o
"""

ORDERS_OF_BOOK: Final = f"""
{_ORDERS}
WHERE o.bot_id = %(bot_id)s AND ({_LIVE} OR o.client_oid = ANY(%(order_ids)s))
ORDER BY o.seq
"""
"""Live orders, and those that are asked for."""

ORDERS_NAMED: Final = f"""
{_ORDERS}
WHERE o.bot_id = %(bot_id)s AND o.client_oid = ANY(%(order_ids)s)
"""

_UNSETTLED: Final = """(
    o.status IN ('PENDING', 'UNKNOWN')
    OR (o.cancel_requested AND o.status IN ('NEW', 'PARTIALLY_FILLED'))
)"""
_OF_BATCH: Final = """(
    o.batch_id = %(batch_id)s
    OR o.client_oid = ANY(ARRAY(
        SELECT unnest(b.canceled) FROM state.batches b
        WHERE b.bot_id = %(bot_id)s AND b.batch_id = %(batch_id)s
    ))
)"""
_BEFORE: Final = "o.seq < (SELECT p.seq FROM state.orders p WHERE p.client_oid = %(before)s)"


def orders_listed(*, live_only: bool, unsettled_only: bool, of_batch: bool, before: bool) -> str:
    """Lists a page of orders by what is asked for, and only by that.

    With "or nothing is asked for" in it, a statement that is prepared once for all values could use
    no index: a page of live orders would cost a walk over all that ever ended.
    """
    asked = ((live_only, _LIVE), (unsettled_only, _UNSETTLED), (of_batch, _OF_BATCH))
    conditions = ["o.bot_id = %(bot_id)s", *(text for is_asked, text in asked if is_asked)]
    if before:
        conditions.append(_BEFORE)
    where = " AND ".join(conditions)
    return f"{_ORDERS} WHERE {where} ORDER BY o.seq DESC LIMIT %(limit)s"


BOT_OF_ORDER: Final = "SELECT bot_id FROM state.orders WHERE client_oid = %s"
ORDER_OF_EXCHANGE_ID: Final = """
SELECT o.client_oid FROM state.orders o JOIN state.grids g USING (bot_id)
WHERE o.symbol = %(symbol)s AND o.exchange_order_id = %(exchange_order_id)s
    AND o.exchange_order_id <> '' AND g.account = %(account)s
ORDER BY o.seq DESC
LIMIT 1
"""

EXECUTIONS_LISTED: Final = """
SELECT * FROM state.executions
WHERE bot_id = %(bot_id)s AND seq < %(before)s
ORDER BY seq DESC
LIMIT %(limit)s
"""

CHANGES_AFTER: Final = """
SELECT
    g.revision AS newest,
    (SELECT min(m.revision) - 1 FROM state.changes m WHERE m.bot_id = g.bot_id) AS oldest,
    c.payload
FROM state.grids g
LEFT JOIN LATERAL (
    SELECT revision, payload FROM state.changes
    WHERE bot_id = g.bot_id AND revision > %(revision)s
    ORDER BY revision
    LIMIT %(limit)s
) c ON true
WHERE g.bot_id = %(bot_id)s
ORDER BY c.revision
"""

UNPUBLISHED: Final = """
SELECT c.payload
FROM state.published p
CROSS JOIN LATERAL (
    SELECT revision, payload FROM state.changes
    WHERE bot_id = p.bot_id AND revision > p.revision
    ORDER BY revision
    LIMIT %(limit)s
) c
ORDER BY p.bot_id, c.revision
LIMIT %(limit)s
"""

MARK_PUBLISHED: Final = """
UPDATE state.published SET revision = greatest(revision, %(revision)s) WHERE bot_id = %(bot_id)s
"""

COMPACT: Final = """
WITH bound AS (
    SELECT g.bot_id, least(p.revision, g.revision - %(keep)s) AS revision
    FROM state.grids g JOIN state.published p USING (bot_id)
), batches AS (
    DELETE FROM state.batches b USING bound
    WHERE b.bot_id = bound.bot_id AND b.revision <= bound.revision
), quarantine AS (
    DELETE FROM state.quarantine WHERE seq <= (
        SELECT q.seq FROM state.quarantine q ORDER BY q.seq DESC OFFSET %(quarantined_max)s LIMIT 1
    )
)
DELETE FROM state.changes c USING bound
WHERE c.bot_id = bound.bot_id AND c.revision <= bound.revision
"""

QUARANTINE: Final = """
INSERT INTO state.quarantine AS q (
    account, symbol, exchange_order_id, client_oid, reason, noted_ns, payload
)
VALUES (
    %(account)s, %(symbol)s, %(exchange_order_id)s, %(client_oid)s, %(reason)s, %(noted_ns)s,
    %(payload)s
)
ON CONFLICT (account, symbol, exchange_order_id, client_oid) DO UPDATE SET
    reason = excluded.reason, payload = excluded.payload, updates = q.updates + 1
"""
"""Notes what was last heard of an order; since when it is put aside stays."""

QUARANTINE_REASON: Final = """
SELECT reason FROM state.quarantine
WHERE account = %(account)s AND symbol = %(symbol)s
    AND exchange_order_id = %(exchange_order_id)s AND client_oid = %(client_oid)s
"""

QUARANTINED: Final = """
SELECT seq, payload, reason, noted_ns, updates FROM state.quarantine
WHERE seq < %(before)s
ORDER BY seq DESC
LIMIT %(limit)s
"""


def notice(origin: str, bot_id: str) -> str:
    """What is notified with a commit."""
    return f"{origin} {bot_id}"
