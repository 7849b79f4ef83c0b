"""The state service: the one owner of slots, orders and executions.

`ledger` answers every question and commits every change, `intake` applies what the exchange tells,
`outbox` publishes what was committed, `app` puts them together; `servicer` is the way in over gRPC.
"""
