"""Files on disk to validated identity and trust to immutable TLS contexts, kept fresh."""
