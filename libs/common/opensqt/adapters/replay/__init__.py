"""Recorded markets from files: raw streams, tables of trades, tables of candles."""
