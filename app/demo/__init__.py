"""The product shown live: a throwaway PKI, six synthetic stores, rotation without a failed call."""
