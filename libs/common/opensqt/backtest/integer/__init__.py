"""The ordinary life of a grid in whole numbers, compiled: the same, and far faster.

`ordinary` says which cases are ordinary, and why one has turned out not to be; `scale` turns a bot
into whole numbers, `building` makes the world of it that `records` describes, and `engine` makes a
result of what came. In between everything is compiled (`compiled`, `tables`): `life` is the loop,
`course` knows what comes next and `finding` looks for it. At the exchange there are `resting`
orders and the `account`; the bot has its `hearing`, its `wishes`, `deciding` and its `quiet` band;
`mail` is what is between them.

It must never know `Decimal` on the way from trade to fill, and it must never guess: what it does
not do exactly, it refuses.
"""
