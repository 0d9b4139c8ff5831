"""Chaos: many contenders, real servers, real git, and faults at random moments; a checker that reads what came of it.

`python -m tests.chaos --steps 10000 --seed 1` is the long form; docs/development.md, "Chaos", says what it can prove.
"""
