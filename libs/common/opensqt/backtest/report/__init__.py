"""The report of a run: one HTML file that works offline, JSON for programs, Parquet for tables.

`contents` gathers what a report says, once; `page` shows it to people, `as_json` and `as_parquet`
hand it to programs. `assumptions` says in words what was assumed, `sampling` makes a million points
few without losing an extreme, `figures` draws, `texts` writes numbers for people.
"""
