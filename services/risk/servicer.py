"""The risk service over gRPC: decode, call, encode."""

from typing import Any, Final

from opensqt.market_maker.v1 import risk_service_pb2 as pb
from opensqt.market_maker.v1 import risk_service_pb2_grpc as pb_grpc
from opensqt.runtime.authorisation import ANYONE, Allowlist, peer_identity
from opensqt.wire.events import encode_gate
from opensqt.wire.fields import read_count, read_text
from services.risk.app import RiskApp

DESCRIPTOR: Final = pb.DESCRIPTOR.services_by_name["RiskService"]

ALLOWLIST: Final = Allowlist(
    {
        f"{DESCRIPTOR.full_name}/GetGate": (ANYONE,),
        # A person, through the command line; or the risk service itself.
        f"{DESCRIPTOR.full_name}/TripGate": ("cli", "risk"),
        f"{DESCRIPTOR.full_name}/ResetGate": ("cli", "risk"),
    }
)
"""Everyone may see the gate; closing and opening it is for people."""


class RiskServicer(pb_grpc.RiskServiceServicer):
    """Answers for the gate."""

    def __init__(self, app: RiskApp) -> None:
        self._app = app

    async def GetGate(self, request: pb.GetGateRequest, context: Any) -> pb.GetGateResponse:
        """The gate now."""
        return pb.GetGateResponse(gate=encode_gate(self._app.gate()))

    async def TripGate(self, request: pb.TripGateRequest, context: Any) -> pb.TripGateResponse:
        """Close the gate."""
        gate = await self._app.trip(
            request_id=read_text(request, "request_id", ""),
            reason=read_text(request, "reason", ""),
            by=peer_identity(context) or "",
        )
        return pb.TripGateResponse(gate=encode_gate(gate))

    async def ResetGate(self, request: pb.ResetGateRequest, context: Any) -> pb.ResetGateResponse:
        """Open the gate."""
        gate = await self._app.reset(
            request_id=read_text(request, "request_id", ""),
            expected_revision=read_count(request, "expected_revision", ""),
            by=peer_identity(context) or "",
        )
        return pb.ResetGateResponse(gate=encode_gate(gate))
