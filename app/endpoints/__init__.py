"""One task per endpoint group, one state machine per endpoint, immutable snapshots for requests."""
