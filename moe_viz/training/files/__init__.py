"""A run as bytes: its checkpoint, the file that is given to others, and a recording of it.

May import: `training.run` and all below it, `records`. Must not know: `training.trainer`, `training.inspect`.
"""
