"""The risk service's configuration."""

from opensqt.runtime.bot_config import AccountName
from opensqt.runtime.config_models import NatsConfig, PostgresConfig, ServiceConfig


class RiskConfig(ServiceConfig):
    """What the risk service is told."""

    account: AccountName = "paper"
    """The account whose gate it holds; each account has a risk service of its own."""
    nats: NatsConfig = NatsConfig()
    postgres: PostgresConfig
