"""gRPC over HTTP/2 on grpclib: client channel, listener, draining, flow control."""
