"""The strategy service over gRPC: decode, call, encode."""

from typing import Any, Final

from opensqt.market_maker.v1 import strategy_service_pb2 as pb
from opensqt.market_maker.v1 import strategy_service_pb2_grpc as pb_grpc
from opensqt.runtime.authorisation import Allowlist, peer_identity
from opensqt.wire.bot_status import encode_bot_status
from opensqt.wire.fields import read_text
from services.strategy.app import StrategyApp

DESCRIPTOR: Final = pb.DESCRIPTOR.services_by_name["StrategyService"]

ALLOWLIST: Final = Allowlist({DESCRIPTOR.full_name: ("cli", "risk")})
"""People look and pause through the command line; risk may stop a bot by itself."""


class StrategyServicer(pb_grpc.StrategyServiceServicer):
    """Answers for the bots."""

    def __init__(self, app: StrategyApp) -> None:
        self._app = app

    async def GetBotStatus(
        self, request: pb.GetBotStatusRequest, context: Any
    ) -> pb.GetBotStatusResponse:
        """How a bot stands."""
        status = self._app.status(read_text(request, "bot_id", ""))
        return pb.GetBotStatusResponse(status=encode_bot_status(status))

    async def PauseBot(self, request: pb.PauseBotRequest, context: Any) -> pb.PauseBotResponse:
        """Pause a bot."""
        bot_id = read_text(request, "bot_id", "")
        status = self._app.pause(bot_id, by=peer_identity(context) or "")
        return pb.PauseBotResponse(status=encode_bot_status(status))

    async def ResumeBot(self, request: pb.ResumeBotRequest, context: Any) -> pb.ResumeBotResponse:
        """Resume a bot."""
        bot_id = read_text(request, "bot_id", "")
        status = self._app.resume(bot_id, by=peer_identity(context) or "")
        return pb.ResumeBotResponse(status=encode_bot_status(status))
