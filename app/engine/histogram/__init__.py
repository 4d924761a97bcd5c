"""Native histograms: the model, their arithmetic, and how they are stored and shown."""
