"""Speed and memory, as ratios. `make bench` runs them all; each also runs alone: `python -m benchmarks.layer`."""
