"""`PostgresGateStore`: the gate's history on PostgreSQL, one row for each change, none rewritten.

The newest row of an account is its gate. A change is committed only as the next one: the primary
key stops two processes from both being next.
"""

from typing import Final

from psycopg.rows import kwargs_row

from opensqt.adapters.postgres.pool import Database
from opensqt.core.events import Gate
from opensqt.core.risk.gate_log import GateAction, GateChange

_HISTORY: Final = """
SELECT revision, open, reason, changed_by, changed_ns, action, request_id, argument
FROM risk.gate_changes
WHERE account = %s ORDER BY revision DESC LIMIT %s
"""

_APPEND: Final = """
INSERT INTO risk.gate_changes (
    account, revision, open, reason, changed_by, changed_ns, action, request_id, argument
)
SELECT
    %(account)s, %(revision)s, %(open)s, %(reason)s, %(changed_by)s, %(changed_ns)s,
    %(action)s, %(request_id)s, %(argument)s
WHERE NOT EXISTS (
    SELECT FROM risk.gate_changes WHERE account = %(account)s AND revision >= %(revision)s
)
ON CONFLICT DO NOTHING
"""

_AT: Final = """
SELECT revision, open, reason, changed_by, changed_ns, action, request_id, argument
FROM risk.gate_changes
WHERE account = %s AND revision = %s
"""


class PostgresGateStore:
    """Implements `ports.GateStore`.

    Args:
        database: Its tables are made by `migrate`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def history(self, account: str, limit: int) -> tuple[GateChange, ...]:
        """The latest changes, oldest first.

        Raises:
            DependencyError: The server does not answer.
        """
        async with self._database.session() as session:
            cursor = session.cursor(row_factory=kwargs_row(_change))
            await cursor.execute(_HISTORY, (account, limit))
            return tuple(reversed(await cursor.fetchall()))

    async def append(self, account: str, change: GateChange) -> bool:
        """Commit a change if its revision is the next.

        Raises:
            DependencyError: The server does not answer; the change may or may not be committed.
        """
        gate = change.gate
        values = {
            "account": account,
            "revision": gate.revision,
            "open": gate.open,
            "reason": gate.reason,
            "changed_by": gate.changed_by,
            "changed_ns": gate.changed_time_ns,
            "action": change.action.value,
            "request_id": change.request_id,
            "argument": change.argument,
        }
        async with self._database.session() as session:
            cursor = session.cursor(row_factory=kwargs_row(_change))
            await cursor.execute(_APPEND, values)
            if cursor.rowcount:
                return True
            await cursor.execute(_AT, (account, gate.revision))
            return await cursor.fetchone() == change

    async def ping(self) -> None:
        """Answer if the server does.

        Raises:
            DependencyError: It does not.
        """
        async with self._database.session() as session:
            await session.execute("SELECT")


def _change(
    *,
    revision: int,
    open: bool,  # noqa: A002 - the column's name
    reason: str,
    changed_by: str,
    changed_ns: int,
    action: str,
    request_id: str,
    argument: str,
) -> GateChange:
    gate = Gate(
        revision=revision,
        open=open,
        reason=reason,
        changed_by=changed_by,
        changed_time_ns=changed_ns,
    )
    return GateChange(
        gate=gate, action=GateAction(action), request_id=request_id, argument=argument
    )
