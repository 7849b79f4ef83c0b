"""Settle tasks as DBOS workflows: they outlive the process that began them.

One workflow for a task, under the task's id. Each round is a step; between rounds the workflow
sleeps durably. After a crash, DBOS takes the workflow up where it was: rounds that were recorded
are not repeated, a round that was under way is, which does no harm (see `settler`).

DBOS has one instance for each process, so a process can have one of these open at a time. Nothing
on the way from tick to wire waits for it.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import psycopg
import structlog
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID, error
from sqlalchemy.exc import SQLAlchemyError

from opensqt.ports import Clock, DependencyError
from opensqt.runtime.retries import until_it_answers
from services.execution.config import SettlementConfig
from services.execution.settlement import ROUNDS_MAX, Round, SettleTask, guarded

WORKFLOW_NAME: Final = "settle_batch"

APPLICATION_VERSION: Final = "settle-1"
"""Recovery takes up the workflows of the same version only. It names the sequence of steps in
`_settle_batch`: change it when that changes, and not otherwise; what an older version began is then
left to the reaper. DBOS wants it to differ between the applications of one database, so the account
is added."""

SETTLED: Final = "settled"
LEFT_TO_REAPER: Final = "left to the reaper"

DBOS_ERRORS: Final = (error.DBOSException, SQLAlchemyError)

ANSWER_TIMEOUT_S: Final = 5.0
BEGINNING_MAX: Final = 8
"""Tasks that wait to be begun. Without its database DBOS waits, in a thread for each, and for ever;
what is beyond the bound is left to the reaper."""

THREADS_MAX: Final = 256
"""DBOS makes its threads the loop's default executor. Each workflow that waits for the database
holds one, and there must be some left for everybody else."""

KEPT: Final = timedelta(hours=6)
"""Workflows that finished earlier are deleted."""
ABANDONED_AFTER: Final = timedelta(minutes=15)
"""A workflow of our name that does not run here is another process's, which should not be there; if
it is still not over after this, that process is gone, and recovery comes at a start only."""

SWEEP_INTERVAL_S: Final = 600.0
SWEEP_SIZE: Final = 500
SWEEP_PAUSE_S: Final = 1.0
"""Deleting much is done in parts, so that trading hardly notices."""

SettleBatch = Callable[[str, str, list[str]], Coroutine[Any, Any, str]]

_log = structlog.get_logger(__name__)


class DurableSettlement:
    """Implements `Settlement` with DBOS on PostgreSQL.

    Args:
        work: One round of asking.
        config: The database, and whose workflows are taken up again.
        account: Keeps the workflows of several accounts in one database apart.
        clock: Tells the time.
    """

    def __init__(
        self, work: Round, *, config: SettlementConfig, account: str, clock: Clock
    ) -> None:
        self._work = work
        self._config = config
        self._account = account
        self._clock = clock
        self._running: dict[str, tuple[SettleTask, asyncio.Task[object]]] = {}
        self._beginning: set[asyncio.Task[bool]] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._closing = False

    async def see_to(self, task: SettleTask) -> bool:
        """Begin with a task, unless one of its id has begun before.

        Raises:
            DependencyError: It could not be begun.
        """
        if len(self._beginning) >= BEGINNING_MAX:
            raise DependencyError("DBOS: its database does not answer")
        beginning = asyncio.create_task(self._begin(task))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._begun)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await asyncio.shield(beginning)
        except TimeoutError:
            raise DependencyError("DBOS: its database does not answer in time") from None
        except DBOS_ERRORS as problem:
            raise DependencyError(f"DBOS: {problem}") from problem

    async def _begin(self, task: SettleTask) -> bool:
        try:
            with SetWorkflowID(task.task_id, workflow_id_reuse_policy="reject"):
                await DBOS.start_workflow_async(
                    self._workflow, task.task_id, task.bot_id, list(task.client_oids)
                )
        except error.DBOSWorkflowIDInUseError:
            return task.task_id in self._running
        return True

    def _begun(self, beginning: asyncio.Task[bool]) -> None:
        self._beginning.discard(beginning)
        if not beginning.cancelled():
            beginning.exception()  # whoever still waited has it

    def running(self) -> Collection[SettleTask]:
        """The tasks that run in this process."""
        return tuple(task for task, _ in self._running.values())

    async def pending(self) -> int:
        """Workflows of the account that have begun and not finished."""
        await self.ping()  # DBOS itself would wait until its database is back
        try:
            unfinished = await DBOS.list_workflows_async(
                status=["PENDING", "ENQUEUED"],
                name=WORKFLOW_NAME,
                load_input=False,
                load_output=False,
            )
        except DBOS_ERRORS as problem:
            raise DependencyError(f"DBOS: {problem}") from problem
        return len(unfinished)

    async def ping(self) -> None:
        """Answer if the database does.

        Raises:
            DependencyError: It does not.
        """
        postgres = self._config.postgres
        try:
            async with await psycopg.AsyncConnection.connect(
                postgres.dsn.get_secret_value(), connect_timeout=postgres.connect_timeout_s
            ) as connection:
                await connection.execute("SELECT 1")
        except psycopg.Error as problem:
            raise DependencyError(f"the database of DBOS: {problem}") from problem

    async def __aenter__(self) -> Self:
        """Create what is missing in the database and take up the workflows that were left."""
        await until_it_answers("settlement", self.ping, errors=(DependencyError,))
        _logs_to_structlog()
        DBOS(config=_dbos_config(self._config, self._account))
        self._workflow = DBOS.workflow(name=WORKFLOW_NAME, max_recovery_attempts=None)(
            self._settle_batch_function()
        )
        try:
            # In the running loop, so that DBOS runs recovered workflows in it and not in its own.
            DBOS.launch()
        except Exception:
            await self._close()
            raise
        self._sweeping = asyncio.create_task(self._sweep(), name="sweep finished workflows")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop the rounds; the workflows stay pending, and the next start takes them up."""
        self._closing = True
        assert self._sweeping is not None
        running = [running for _, running in self._running.values()]
        stopping = [self._sweeping, *self._beginning, *running]
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
        await self._close()

    async def _close(self) -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1) as own_thread:
            # It waits for threads of its own, for seconds.
            await loop.run_in_executor(own_thread, _destroy)
        # DBOS has made its executor the loop's, and has closed it.
        loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))

    def _settle_batch_function(self) -> SettleBatch:
        """The workflow; a plain function, since DBOS would want to register our class."""

        async def _settle_batch(task_id: str, bot_id: str, client_oids: list[str]) -> str:
            task = SettleTask(task_id=task_id, bot_id=bot_id, client_oids=tuple(client_oids))
            with self._as_running(task):
                for _ in range(ROUNDS_MAX):
                    wait_s = await DBOS.run_step_async(
                        {"name": "settle_round"}, guarded, self._work, task
                    )
                    if wait_s is None:
                        return SETTLED
                    await DBOS.sleep_async(wait_s)
                return LEFT_TO_REAPER

        return _settle_batch

    @contextmanager
    def _as_running(self, task: SettleTask) -> Iterator[None]:
        if self._closing:
            raise asyncio.CancelledError  # it stays pending
        current = asyncio.current_task()
        assert current is not None
        self._running[task.task_id] = (task, current)
        try:
            yield
        finally:
            self._running.pop(task.task_id, None)

    async def _sweep(self) -> None:
        """Give up what nobody will go on with; delete what finished long ago."""
        pause_s, started = 0.0, False
        while True:
            await asyncio.sleep(pause_s)
            pause_s = SWEEP_INTERVAL_S
            try:
                await self._give_up_stranded(recovered=started)
                started = True
                if await self._delete_finished() == SWEEP_SIZE:
                    pause_s = SWEEP_PAUSE_S
            except DBOS_ERRORS as problem:
                _log.warning("settle_workflows_not_swept", problem=str(problem))

    async def _give_up_stranded(self, *, recovered: bool) -> None:
        """What another version began cannot be replayed, what a process began that is gone is not.

        The reaper finds what they left.

        Args:
            recovered: What was left of our own before the start has been taken up.
        """
        unfinished = await DBOS.list_workflows_async(
            status=["PENDING", "ENQUEUED"],
            name=WORKFLOW_NAME,
            load_input=False,
            load_output=False,
        )
        abandoned_ms = self._clock.now_ns() / 1e6 - ABANDONED_AFTER / timedelta(milliseconds=1)
        stranded = [
            status
            for status in unfinished
            if status.app_version != _version_of(self._account)
            or (
                recovered
                and status.workflow_id not in self._running
                and (status.created_at or 0) < abandoned_ms
            )
        ]
        if stranded:
            await DBOS.cancel_workflows_async([status.workflow_id for status in stranded])
            _log.warning(
                "settle_tasks_left_to_reaper",
                tasks=len(stranded),
                versions=sorted({status.app_version or "" for status in stranded}),
            )

    async def _delete_finished(self) -> int:
        now = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC)
        old = await DBOS.list_workflows_async(
            status=["SUCCESS", "ERROR", "CANCELLED"],
            name=WORKFLOW_NAME,
            completed_before=(now - KEPT).isoformat(),
            limit=SWEEP_SIZE,
            load_input=False,
            load_output=False,
        )
        if old:
            await DBOS.delete_workflows_async([status.workflow_id for status in old])
        return len(old)


def _version_of(account: str) -> str:
    return f"{APPLICATION_VERSION}-{account}"


def _dbos_config(config: SettlementConfig, account: str) -> DBOSConfig:
    return {
        "name": f"opensqt-execution-{account}",
        "system_database_url": config.postgres.dsn.get_secret_value(),
        "dbos_system_schema": config.schema_name,
        "sys_db_pool_size": config.postgres.pool_size,
        "db_engine_kwargs": {
            "connect_args": {
                "application_name": "opensqt-settlement",
                "connect_timeout": config.postgres.connect_timeout_s,
            }
        },
        "application_version": _version_of(account),
        "executor_id": config.executor_id or f"execution-{account}",
        # Never pickle: what is in the database is data, not code.
        "serializer": DBOSPortableJSONSerializer(),
        "max_executor_threads": THREADS_MAX,
        "log_level": "WARNING",
        "enable_otlp": False,
    }


def _destroy() -> None:
    DBOS.destroy(destroy_registry=True)


def _logs_to_structlog() -> None:
    """Keep DBOS from adding a handler that bypasses our redaction: it adds one if there is none."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = True
