"""Drills: the money code under kill -9, under races, under a hostile mail-man. `./run drill` runs them.

Each runs in a database of its own beside the configured one, which is never touched, and has controls: the same
drill with a guard left out, which must fail, or the drill proves nothing.
"""
