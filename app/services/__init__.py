"""The gRPC services that Crossrealm serves."""
