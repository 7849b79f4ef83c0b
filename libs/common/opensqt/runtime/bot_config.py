"""The configuration of a trader's grid bot, as a shell around the core's own grid configuration."""

from opensqt.runtime.config_models import ConfigModel


class BotConfig(ConfigModel):
    """What a trader says about one bot."""
