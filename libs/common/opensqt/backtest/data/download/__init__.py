"""Getting market data: through ccxt page by page, or as files of Binance's public archives.

Both can be interrupted: what was got stays, and the same call goes on from there.
"""
