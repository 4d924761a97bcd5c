"""Measurements against real peers. Each figure is taken within one run, as a median of several."""
