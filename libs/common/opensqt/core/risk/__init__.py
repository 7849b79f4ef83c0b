"""Risk, as pure decisions: when exposure may be added."""
