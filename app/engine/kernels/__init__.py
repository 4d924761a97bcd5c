"""Compiled loops of the engine: samples from chunks, windows over steps, aggregation, numbers to text."""
