"""Parity: the services on virtual time do with a recorded market what a backtest of it does.

`stack.run_stack` runs a backtest's case through the services' own composition roots: nothing goes
wrong, what happens inside takes no time, and what goes to and from the exchange takes exactly the
case's latencies. `outside` is everything beyond the services: the recorded market, the exchange,
and the messages on their way, in the order that the backtest gives them. `still` is what takes no
time.

`python -m simulation.parity` runs both on a recording, and says what differs.
"""
