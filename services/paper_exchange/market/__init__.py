"""The market of the paper exchange: generated or recorded, and the player of it."""
