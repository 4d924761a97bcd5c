"""Series out of the endpoints: fetched, merged, deduplicated."""
