"""The execution service over gRPC: decode, call, encode."""

from typing import Any, Final

from opensqt.market_maker.v1 import execution_service_pb2 as pb
from opensqt.market_maker.v1 import execution_service_pb2_grpc as pb_grpc
from opensqt.runtime.authorisation import Allowlist
from opensqt.wire.actions import decode_batch
from opensqt.wire.fields import read_text
from services.execution.app import ExecutionApp

DESCRIPTOR: Final = pb.DESCRIPTOR.services_by_name["ExecutionService"]

ALLOWLIST: Final = Allowlist(
    {
        f"{DESCRIPTOR.full_name}/SubmitActions": ("strategy",),
        f"{DESCRIPTOR.full_name}/GetExecutionStatus": ("cli", "risk", "strategy"),
    }
)
"""Orders come from strategies alone."""


class ExecutionServicer(pb_grpc.ExecutionServiceServicer):
    """Answers for the execution of one account."""

    def __init__(self, app: ExecutionApp) -> None:
        self._app = app

    async def SubmitActions(
        self, request: pb.SubmitActionsRequest, context: Any
    ) -> pb.SubmitActionsResponse:
        """Carry out a batch."""
        read_text(request, "request_id", "")
        reservation = await self._app.submit(decode_batch(request.batch))
        return pb.SubmitActionsResponse(
            revision=reservation.revision,
            client_oids=[order.client_oid for order in reservation.to_place],
            repeated=reservation.repeated,
        )

    async def GetExecutionStatus(
        self, request: pb.GetExecutionStatusRequest, context: Any
    ) -> pb.GetExecutionStatusResponse:
        """How the execution stands."""
        status = await self._app.status()
        return pb.GetExecutionStatusResponse(
            in_flight=status.in_flight,
            unsettled=status.unsettled,
            workflows_pending=status.tasks_pending,
            batches=status.batches,
            orders_sent=status.orders_sent,
            gate_open=status.gate_open,
        )
