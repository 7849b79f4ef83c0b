"""What every process shares: configuration, certificates, gRPC, telemetry and the main function.

A service's ``__main__`` is one call to `opensqt.runtime.service.run_service`. Nothing in this
package knows what any service does.
"""
