"""What a run did, whatever made it: as values, as a file, and from where it can be had."""
