"""The benchmark: what the product costs, told as ratios. `./run bench` runs it; BENCHMARKS.md says what the rows mean.

A door, not a part of the kit: it knows customers and billing, and nothing of the product imports it.
"""
