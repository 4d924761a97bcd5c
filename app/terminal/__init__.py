"""`crossrealm promql`: a query from the command line, and its answer for people, pipes and programs."""
