"""What pages for people are made of: a frame that works offline, and parts to fill it with."""

import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

import opensqt


def whole_page(title: str, body: str) -> str:
    """A page with everything in it; nothing comes from anywhere else."""
    template = files("opensqt.backtest.report").joinpath("page.html").read_text(encoding="utf-8")
    filled = {
        "TITLE": escape(title),
        "VERSION": escape(opensqt.__version__),
        "BODY": body,
        "PLOTLY": get_plotlyjs(),  # last: nothing that it holds is to be filled
    }
    for name, text in filled.items():
        template = template.replace(f"<!--{name}-->", text, 1)
    return template


def write_whole(path: Path, text: str) -> None:
    """Write a page; a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def section(heading: str, content: str, *, note: str = "") -> str:
    """A part of the page with a heading."""
    said = f"<p class='note'>{escape(note)}</p>" if note else ""
    name = escape(anchor(heading))
    return f"<section id='{name}'><h2>{escape(heading)}</h2>{said}{content}</section>"


def anchor(heading: str) -> str:
    """What a link to a section says."""
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def links(headings: Sequence[str]) -> str:
    """Links to sections of the page."""
    told = "".join(f"<a href='#{escape(anchor(h))}'>{escape(h)}</a> " for h in headings)
    return f"<nav>{told}</nav>"


def warning(text: str) -> str:
    """Something to be careful about."""
    return f"<p class='warning'>{escape(text)}</p>"


def tiles(shown: Sequence[tuple[str, str, str]]) -> str:
    """Figures to begin with: a name, a text, and ``good``, ``bad`` or nothing."""
    cells = "".join(
        f"<div class='tile'><span>{escape(name)}</span>"
        f"<strong class='{kind}'>{escape(text)}</strong></div>"
        for name, text, kind in shown
    )
    return f"<div class='tiles'>{cells}</div>"


def figure(plot: go.Figure, *, time: bool = False) -> str:
    """A plot."""
    # "</" would end the script wherever it stands.
    text = plot.to_json().replace("</", "<\\/")
    kind = " data-time" if time else ""
    return f"<div class='plot'{kind}><script type='application/json'>{text}</script></div>"


def pairs(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values, in columns."""
    cells = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in rows)
    return f"<dl class='pairs'>{cells}</dl>"


def explained(rows: Sequence[tuple[str, str, str]]) -> str:
    """Names and values in columns, each with what it means: under the mouse, and below."""
    cells = "".join(
        f"<div title='{escape(means)}'><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>"
        for k, v, means in rows
    )
    meant = definitions([(k, means) for k, _, means in rows])
    return (
        f"<dl class='pairs'>{cells}</dl>"
        f"<details><summary>What these figures mean</summary>{meant}</details>"
    )


def definitions(rows: Sequence[tuple[str, str]]) -> str:
    """Names and texts, one below the other."""
    cells = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows)
    return f"<dl class='facts'>{cells}</dl>"


def bullets(items: Sequence[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def table(
    rows: Sequence[Sequence[str]], *, head: bool = False, text_columns: Sequence[int] = (0,)
) -> str:
    """A table; `head`: its first row is the heading. Numbers align right, `text_columns` left."""
    lines = []
    for number, row in enumerate(rows):
        tag = "th" if head and number == 0 else "td"
        cells = "".join(
            f"<{tag}{' class=text' if column in text_columns else ''}>{escape(cell)}</{tag}>"
            for column, cell in enumerate(row)
        )
        lines.append(f"<tr>{cells}</tr>")
    return f"<div class='scroll'><table>{''.join(lines)}</table></div>"
