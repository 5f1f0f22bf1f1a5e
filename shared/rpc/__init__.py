"""gRPC, once for all services: servers, channels, callers and their rights, operations over the wire."""
