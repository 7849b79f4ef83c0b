"""The execution service: carries out what strategies decide; the only one with trading keys.

`OrderExecutor` is the way from a decision to the wire: admit, reserve, send, record. Beside it
`settlement` sees every order to a proven result, in DBOS workflows that outlive the process
(`durable`), and the `reaper` finds what nobody sees to. Nothing is ever sent twice.
"""
