"""The report of a run: one HTML file that works offline, JSON for programs, Parquet for tables.

`contents` gathers what a report says, once; `page` shows it to people, `as_json` and `as_parquet`
hand it to programs. `assumptions` says in words what was assumed, `cautions` what to be careful
about; `rows` and `grid_rows` name the figures and say what they mean. `sampling` makes a million
points few without losing an extreme, `curves` picks them, `plots` draws, `texts` writes numbers
for people.
"""
