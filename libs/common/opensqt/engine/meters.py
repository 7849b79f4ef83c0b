"""The metrics of a bot's decisions, looked up once."""

from collections.abc import Callable

from opensqt.core.actions import ActionBatch, Place
from opensqt.runtime.metrics import Metrics


class DecisionMeters:
    """What one bot decides, how often and how fast."""

    def __init__(self, metrics: Metrics, bot_id: str) -> None:
        batches = metrics.counter("strategy_batches", "Decisions handed over.", ("bot", "repeated"))
        actions = metrics.counter("strategy_actions", "Actions handed over.", ("bot", "action"))
        self.plan_seconds = metrics.histogram(
            "strategy_plan_seconds", "Time to plan once.", ("bot",)
        ).labels(bot_id)
        self.tick_to_batch = metrics.histogram(
            "strategy_price_to_batch_seconds",
            "From the receipt of a price to the decision that it caused being sent.",
            ("bot",),
        ).labels(bot_id)
        self._trading = metrics.gauge(
            "strategy_trading", "1 while the bot may open positions.", ("bot",)
        ).labels(bot_id)
        self._restarts = metrics.gauge(
            "strategy_watch_restarts", "How often watching the state began again.", ("bot",)
        ).labels(bot_id)
        self._batches = {flag: batches.labels(bot_id, str(flag).lower()) for flag in (True, False)}
        self._places = actions.labels(bot_id, "place")
        self._cancels = actions.labels(bot_id, "cancel")

    def show(self, *, trading: Callable[[], bool], watch_restarts: Callable[[], int]) -> None:
        """Show how the bot stands, asked for whenever the metrics are read."""
        self._trading.set_function(lambda: float(trading()))
        self._restarts.set_function(lambda: float(watch_restarts()))

    def count(self, batch: ActionBatch, *, repeated: bool) -> None:
        """Count a batch that was handed over."""
        places = sum(isinstance(action, Place) for action in batch.actions)
        self._batches[repeated].inc()
        self._places.inc(places)
        self._cancels.inc(len(batch.actions) - places)
