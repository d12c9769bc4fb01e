"""What looks at a run without changing it: the probe batch, the reader's own input, a larger analysis, one step taken apart.

May import: `training.run` and all below it (`probe` and `traces` know a model only, because `Run.snapshot` uses them).
Must not know: `training.trainer`, which offers these functions as its methods.
"""
