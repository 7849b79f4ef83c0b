"""Checkpoints in a SQLite file: `checkpoints` keeps them, `schema` is what the file looks like.

`rows` is how values are written, `owner` who may write those of a bot.
"""
