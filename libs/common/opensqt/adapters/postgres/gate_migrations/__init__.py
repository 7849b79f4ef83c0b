"""The gate's migrations, in the order of their numbers; `migrate` runs them."""
