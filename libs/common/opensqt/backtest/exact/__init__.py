"""The exact backtest: the exchange and the strategies as they are, on the time of the recording.

`timeline` puts the markets' events in order, `schedule` what is on its way between the exchange and
the bots. `floor` is the exchange's end, `desk` a bot's, `journal` writes down what happens, and
`world` connects them. `every` shows every event to everything; `skipping` acts on those events only
that can change something.
"""
