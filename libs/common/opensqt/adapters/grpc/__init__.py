"""Our services as their callers see them: ports over gRPC channels."""
