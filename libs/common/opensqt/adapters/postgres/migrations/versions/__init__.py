"""One file for each change of the tables; a change of data has a test of its own."""
