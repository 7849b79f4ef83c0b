"""The grid alone: ``loop`` or ``vectors`` as the fourth argument says which form."""

import sys

from common import Stopwatch, read_case, write_result
from floor import as_rows, by_loop, by_vectors

watch = Stopwatch()
ticks, grid = read_case()
load_s = watch.lap()
book = {"loop": by_loop, "vectors": by_vectors}[sys.argv[4]](ticks, grid)
run_s = watch.lap()
write_result(
    as_rows(book, ticks, grid),
    load_s=load_s,
    run_s=run_s,
    ticks=len(ticks.price),
)
