"""The grid alone: ``loop`` or ``vectors`` as the fourth argument says which form."""

import sys

from common import best_of, read_case, write_result
from floor import as_rows, by_loop, by_vectors

ticks, grid = read_case()
form = {"loop": by_loop, "vectors": by_vectors}[sys.argv[4]]
book, taken = best_of(lambda: form(ticks, grid))
write_result(as_rows(book, ticks, grid), ticks=len(ticks.price), **taken)
