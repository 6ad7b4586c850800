"""Figures of the store beside plain ways to build the same, on one Redis and in one run."""
