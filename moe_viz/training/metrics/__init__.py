"""The figures of each training step: sums on the device, then metrics over a moving window on the host.

May import: torch, `moe`, `models`, `records`. Must not know: what a run is, its files, or who looks at it.
"""
