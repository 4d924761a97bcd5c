"""Series to samples to PromQL. `promql` reads the language, `reference` and `fast` evaluate it."""
