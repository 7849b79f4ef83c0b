"""Binance's REST protocol: authentication, rate limits, endpoints."""
