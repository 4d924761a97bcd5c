"""Which endpoints a request needs, the concurrent calls, the merge, partial response."""
