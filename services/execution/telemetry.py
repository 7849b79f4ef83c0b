"""What an operator of the execution service wants to see, as Prometheus metrics."""

from opensqt.runtime.metrics import Metrics


class ExecutionMetrics:
    """The service's metrics; see the names for what they count."""

    def __init__(self, metrics: Metrics) -> None:
        self.batches = metrics.counter(
            "batches", "Batches that came in, by what became of them.", ("outcome",)
        )
        self.actions_left_out = metrics.counter(
            "batch_actions_left_out", "Actions of accepted batches that may not go.", ("reason",)
        )
        self.placements = metrics.counter(
            "placements", "Orders sent, by the status that the answer proves.", ("status", "reason")
        )
        self.cancels = metrics.counter("cancels", "Cancels sent, by outcome.", ("outcome",))
        self.unrecorded = metrics.counter(
            "results_unrecorded", "Answers that the state service did not take; settled later."
        )
        self.reserve_seconds = metrics.histogram(
            "reserve_seconds", "Committing a batch's intents, as the executor sees it."
        )
        self.place_seconds = metrics.histogram(
            "place_seconds", "From sending an order to its answer."
        )
        self.batch_to_wire_seconds = metrics.histogram(
            "batch_to_wire_seconds", "From a batch's arrival to its first request being sent."
        )
        self.price_age_seconds = metrics.histogram(
            "price_age_seconds", "Age of the decision's price when its first request is sent."
        )
        self.settled = metrics.counter(
            "orders_settled", "Doubts about orders that were ended by asking.", ("step",)
        )
        self.contradictions = metrics.counter(
            "order_contradictions",
            "Orders that the exchange shows otherwise than they were meant; a person must look.",
        )
        self.unsettled = metrics.gauge(
            "orders_unsettled", "Orders without a proven result, at the last scan."
        )
        self.reaped = metrics.counter(
            "orders_reaped", "Orders in doubt that nobody saw to, found by the reaper."
        )
