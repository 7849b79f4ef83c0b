"""Where the market of the paper exchange comes from: sources of ticks, and the player of them."""
