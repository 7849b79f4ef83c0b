"""The paper exchange's fixtures are those of the connector's tests."""

from tests.integration.ccxt.conftest import exchange_certificates, paper, run_paper

__all__ = ["exchange_certificates", "paper", "run_paper"]
