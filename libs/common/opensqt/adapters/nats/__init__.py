"""The event bus on NATS: core NATS for what only its newest value matters, JetStream for the rest.

`NatsEventBus` is the port's implementation; what travels is encoded by `opensqt.wire.codecs`.
"""

from opensqt.adapters.nats.bus import NatsEventBus, open_nats_bus

__all__ = ["NatsEventBus", "open_nats_bus"]
