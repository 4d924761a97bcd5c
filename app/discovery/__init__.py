"""Addresses of a group: static ones come from the configuration, others from file SD."""
