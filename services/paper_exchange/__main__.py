"""Starts the paper exchange: ``python -m services.paper_exchange --config FILE``."""

import sys

from opensqt.runtime.service import run_service
from services.paper_exchange.app import serve
from services.paper_exchange.config import PaperExchangeConfig

if __name__ == "__main__":
    sys.exit(run_service("paper_exchange", PaperExchangeConfig, serve))
