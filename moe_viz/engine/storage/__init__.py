"""Runs on disk: checkpoints, the points from which branches start, and copies of them on another machine.

It may import `protocol` and `records`. It must not know of a worker or its clock; a trainer is whatever has `save` and a history.
"""
