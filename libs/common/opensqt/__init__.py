"""OpenSQT: crypto market making and funding arbitrage that never double an order or lose a fill."""

__version__ = "0.1.0"
