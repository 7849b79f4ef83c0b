"""The ordinary life of a grid in whole numbers: the same result, some hundred times as fast.

`ordinary` says which cases are ordinary and ends those that turn out not to be, `scale` turns a
bot into whole numbers, `slots` holds its slots, `books` rests its orders, `mind` decides and `hand`
carries out. `life` goes through the trades with the help of `search`, `ledger` counts the money,
`margin` looks whether the exchange would have let it happen, and `engine` makes a result of it.

It must never know `Decimal` on the way from trade to fill, and it must never guess: what it does
not do exactly, it refuses.
"""
