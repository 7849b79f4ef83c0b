"""`opensqt optimize`: searches for a bot's settings on recorded markets.

What works with data needs the libraries of research, and is imported when the command runs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from opensqt.backtest.markets import DEFAULT_MARKETS
from opensqt.backtest.search.kinds import SamplerKind
from opensqt.cli.connection import RUN_ROOT
from opensqt.cli.data_times import parse_time
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.market_options import EndOption, MarketsOption, StartOption, StrictOption
from opensqt.cli.optimize_view import SearchView
from opensqt.cli.output import CommandError, Output, command
from opensqt.cli.research import research_needed
from opensqt.runtime.config import ConfigError, load_config

if TYPE_CHECKING:
    from opensqt.backtest.search.preparing import Prepared, Wanted
    from opensqt.backtest.search.searching import WindowFinding

STUDIES: Final = Path(RUN_ROOT) / "studies"
SHOWN: Final = 10


def optimize(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The bot, as `opensqt up` takes it.")
    ],
    data: Annotated[
        Path, typer.Option("--data", "-d", help="A recorded market, or a folder of them.")
    ],
    space: Annotated[
        Path,
        typer.Option(
            help="What to vary, what is better, and how history is cut into windows; see "
            "config/search.example.yaml."
        ),
    ],
    start: StartOption = None,
    end: EndOption = None,
    assume: Annotated[
        Path | None,
        typer.Option(
            "--assume",
            "-a",
            help="What the backtests assume: see config/backtest.example.yaml; by default as it "
            "is there.",
        ),
    ] = None,
    markets: MarketsOption = DEFAULT_MARKETS,
    sampler: Annotated[
        SamplerKind,
        typer.Option(
            help="grid: every point. random: at random. bayesian: where it did well before. "
            "evolution: crosses the best, for several objectives."
        ),
    ] = SamplerKind.BAYESIAN,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials of each window; left out: 200, or the whole grid."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another search.")] = 0,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="Trials that are chosen together. More of them keep more workers busy; fewer "
            "learn faster.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Processes that run backtests; left out: all cores."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="A Dask cluster runs the backtests: the address of its scheduler, such as "
            "tcp://10.0.0.1:8786, or `local` for one on this machine."
        ),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(
            help="Where the trials are kept. The same command continues there. Left out: a file "
            f"below {STUDIES} that belongs to this very search."
        ),
    ] = None,
    strict: StrictOption = False,
    write: Annotated[
        Path | None, typer.Option(help="Write the bot with the chosen settings to this file.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page for people: one HTML file.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="Write the findings as JSON, for programs.")
    ] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write all trials as Parquet.")] = None,
    show: Annotated[int, typer.Option(min=0, help="How many of the best to show.")] = SHOWN,
) -> None:
    """Search for settings of a bot that would have done well, out of sample.

    Each trial is a backtest. What is found depends on the files and the seed
    alone, not on how many workers there are or how often the search is
    interrupted: Ctrl-C keeps every trial that has ended, and the same command
    goes on, also with more --trials.

    With walk_forward in the space, settings are chosen on one stretch of
    history and judged on the one that follows: how much worse they do there
    is how much they were fitted to the first. See docs/optimize.md.

    A hundred trials, with a page to look at and the bot that won:

    opensqt optimize --config config/bot.example.yaml
    --space config/search.example.yaml
    --data recordings/btcusdt_perp_1m_202505.csv.gz
    --trials 100 --report search.html --write best.yaml

    Several objectives, many trials: --sampler evolution --trials 2000

    On other machines: --cluster tcp://10.0.0.1:8786
    """
    with command(as_json=False) as output, research_needed(), _refusals():
        from opensqt.backtest.assembly import make_bots
        from opensqt.backtest.markets import load_markets
        from opensqt.backtest.search.preparing import Wanted, prepare
        from opensqt.backtest.search.space_config import SpaceConfig
        from opensqt.runtime.backtest_config import BacktestConfig
        from opensqt.runtime.bot_config import BotConfig

        for path in (write, report, json, parquet, study):
            _refuse_unwritable(path)
        bot = load_config(BotConfig, config, env_prefix="OPENSQT_BOT_")
        assumed = (
            load_config(BacktestConfig, assume, env_prefix="OPENSQT_ASSUME_")
            if assume
            else BacktestConfig()
        )
        rules = load_markets(markets)
        make_bots([bot], rules, assumed)
        wanted = Wanted(
            bot=bot,
            assumed=assumed,
            market=rules[bot.symbol],
            space=load_config(SpaceConfig, space, env_prefix="OPENSQT_SEARCH_"),
            data=data,
            start_ns=parse_time(start, "--from") if start else None,
            end_ns=parse_time(end, "--to") if end else None,
            strict=strict,
            kind=sampler,
            trials=trials,
            batch=batch,
            seed=seed,
        )
        prepared = prepare(wanted)
        kept = study or _own_study(bot.bot_id, prepared.about)
        view = SearchView(output, prepared.plan)
        view.begin(prepared.tape, kept)
        findings = _search(output, prepared, view, kept, workers or _cores(), cluster)
        view.end(findings, show)
        _write_all(output, wanted, prepared, findings, write, report, json, parquet)


def _search(
    output: Output,
    prepared: "Prepared",
    view: SearchView,
    study: Path,
    workers: int,
    cluster: str | None,
) -> "tuple[WindowFinding, ...]":
    from opensqt.backtest.search.running import run_search

    try:
        with view.watching() as watch:
            return run_search(prepared, study=study, workers=workers, cluster=cluster, watch=watch)
    except KeyboardInterrupt:
        output.note(
            f"interrupted; {study} has every trial that ended, and the same command goes on"
        )
        raise typer.Exit(130) from None


def _write_all(
    output: Output,
    wanted: "Wanted",
    prepared: "Prepared",
    findings: "tuple[WindowFinding, ...]",
    write: Path | None,
    report: Path | None,
    json: Path | None,
    parquet: Path | None,
) -> None:
    from opensqt.backtest.search import tables
    from opensqt.backtest.search.best import write_best
    from opensqt.backtest.search.page import write_page

    plan = prepared.plan
    if json:
        tables.write_json(json, tables.as_json(plan, findings, prepared.about))
    if parquet:
        tables.write_parquet(parquet, plan, findings)
    if report:
        write_page(report, prepared, findings)
    chosen = findings[-1].chosen
    if write and chosen:
        source = prepared.tape.source or wanted.data
        origin = (
            f"Chosen by opensqt optimize on {source}, {findings[-1].window.train},",
            f"as trial {chosen.number} of {plan.trials}, sampler {plan.kind}, seed {plan.seed}.",
        )
        settings = plan.space.settings(chosen.point)
        write_best(write, wanted.bot, wanted.assumed, settings, origin=origin)
    for path in (json, parquet, report, write if chosen else None):
        if path:
            output.line(f"written: {path}")
    if chosen is None:
        raise CommandError(
            "no trial was feasible in the latest window, so there is nothing to choose; "
            "loosen the constraints or widen the space",
            ExitCode.FAILURE,
        )


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what can be wrong with files, settings and clusters into messages and exit codes."""
    from opensqt.adapters.replay.source import DamagedData
    from opensqt.backtest.search.cluster_errors import ClusterError
    from opensqt.backtest.search.samplers import OtherPointsError
    from opensqt.backtest.search.searching import BacktestFailedError
    from opensqt.backtest.search.study import StudyError

    try:
        yield
    except (ConfigError, DamagedData, StudyError, OtherPointsError) as error:
        raise CommandError(str(error), ExitCode.USAGE) from error
    except BacktestFailedError as error:
        text = f"the backtest of the bot as it is configured failed: {error}"
        raise CommandError(text, ExitCode.FAILURE) from error
    except ClusterError as error:
        raise CommandError(str(error), ExitCode.UNREACHABLE) from error


def _refuse_unwritable(path: Path | None) -> None:
    if path is None:
        return
    if path.is_dir():
        raise CommandError(f"{path} is a directory; name a file", ExitCode.USAGE)
    if not path.absolute().parent.is_dir():
        raise CommandError(f"{path}: its directory does not exist", ExitCode.USAGE)


def _own_study(bot_id: str, about: dict[str, str]) -> Path:
    from opensqt.backtest.search.about import name_of

    STUDIES.mkdir(parents=True, exist_ok=True)
    return STUDIES / f"{bot_id}-{name_of(about)}.study"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
