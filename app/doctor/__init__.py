"""`crossrealm doctor`: every endpoint reached as the querier would, and what is wrong with it."""
