"""The pages in a real browser: every plot is drawn, nothing is fetched, nothing fails."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from opensqt.backtest.case import Mode
from opensqt.backtest.markets import DEFAULT_MARKETS
from opensqt.backtest.report.contents import Contents
from opensqt.backtest.report.page import write_page
from opensqt.backtest.run import run
from opensqt.cli.app import app
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.testing.tapes import random_case

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PLOTS = 9
DARK = "--blink-settings=preferredColorScheme=0"
TEXT_ON_DARK = "fill: rgb(203, 213, 225)"
"""What `page.html` gives to the plots' text; the browser writes colours so."""
OFFLINE = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
)


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser here: one of {', '.join(BROWSERS)}")
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = random_case(5, trades=300)
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page(path, Contents.of(case, run(case, mode=Mode.EVERY), BacktestConfig()))
    return path


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a search with one plot for each of two settings."""
    home = tmp_path_factory.mktemp("search")
    page, space, assume = home / "search.html", home / "space.yaml", home / "assume.yaml"
    space.write_text(
        "space: {grid.interval: {choices: [50, 100]}, grid.buy_levels: {low: 2, high: 3}}\n"
        "objectives: {return_per_day: maximise, max_drawdown_share: minimise}\n"
    )
    assume.write_text("latency: {market: 0, order: 0, report: 0}\n")
    files = {"config": ROOT / "config/bot.example.yaml", "space": space, "assume": assume}
    files |= {"data": ROOT / "recordings/btcusdt_perp_1m_20250603.csv.gz", "report": page}
    files |= {"study": home / "kept.study", "markets": ROOT / DEFAULT_MARKETS}
    options = [text for name, path in files.items() for text in (f"--{name}", str(path))]
    asked = ["optimize", *options, "--sampler", "grid", "--workers", "1"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    return page


def opened(browser: str, report: Path, tmp_path: Path, *options: str) -> tuple[str, str]:
    """The page as it is once its scripts have run, and what the browser complained of."""
    sandbox = () if os.geteuid() else ("--no-sandbox",)
    done = subprocess.run(
        [
            browser,
            *OFFLINE,
            *sandbox,
            f"--user-data-dir={tmp_path / 'profile'}",
            *options,
            report.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("window", ["1280,900", "520,900"])
def test_every_plot_is_drawn(browser: str, report: Path, tmp_path: Path, window: str) -> None:
    dom, said = opened(browser, report, tmp_path, "--dump-dom", f"--window-size={window}")
    assert 'data-drawn="true"' in dom
    drawn = re.findall(r'class="plot js-plotly-plot"', dom)
    assert len(drawn) == PLOTS
    complaints = [line for line in said.splitlines() if "CONSOLE" in line]
    assert not complaints
    # Nothing is wider than the window, or a phone would have to be scrolled sideways.
    widths = [float(w) for w in re.findall(r'<svg class="main-svg"[^>]* width="([\d.]+)"', dom)]
    assert widths
    assert max(widths) <= int(window.split(",", maxsplit=1)[0])


@pytest.mark.parametrize("scheme", [(), (DARK,)])
def test_plots_have_the_colours_of_the_page(
    browser: str, report: Path, tmp_path: Path, scheme: tuple[str, ...]
) -> None:
    dom, _ = opened(browser, report, tmp_path, "--dump-dom", *scheme)
    assert (TEXT_ON_DARK in dom) is bool(scheme)


def test_the_page_of_a_search_is_drawn(browser: str, searched: Path, tmp_path: Path) -> None:
    dom, said = opened(browser, searched, tmp_path, "--dump-dom", "--window-size=520,900")
    # The Pareto front, one plot for each of two settings, and the course of the search.
    assert len(re.findall(r'class="plot js-plotly-plot"', dom)) == 4
    assert not [line for line in said.splitlines() if "CONSOLE" in line]


def test_it_can_be_looked_at(browser: str, report: Path, tmp_path: Path) -> None:
    picture = tmp_path / "report.png"
    opened(browser, report, tmp_path, f"--screenshot={picture}", "--window-size=1280,2400")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000  # an empty page is a tenth of it
