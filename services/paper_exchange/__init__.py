"""The paper exchange: a simulated Binance USD-M futures exchange that speaks Binance's protocol.

Paper trading uses the same connector as live trading, pointed at this process. The exchange proper
(matching, margin, funding) is `opensqt.core.exchange`; here is what surrounds it: the market that
it replays, REST and WebSocket as real clients expect them, the faults that real networks have, and
a control endpoint for whoever runs it.

It stands for the outside world, so nothing in OpenSQT may know more of it than of Binance, except
through the control endpoint, which reads the exchange's own books.
"""
