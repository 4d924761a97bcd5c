"""The functions of PromQL at one step, each by its name."""
