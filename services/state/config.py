"""The state service's configuration."""

from pydantic import Field

from opensqt.runtime.config_models import NatsConfig, PostgresConfig, ServiceConfig
from services.state.app import KEEP_REVISIONS_DEFAULT


class StateConfig(ServiceConfig):
    """What the state service is told."""

    nats: NatsConfig = NatsConfig()
    postgres: PostgresConfig
    keep_revisions: int = Field(default=KEEP_REVISIONS_DEFAULT, ge=100, le=10_000_000)
    """Changes of each grid that are kept, for watchers that come back and batches that come twice.
    """
