"""Environment variables that the service sets for Ray's processes, unless the caller's environment sets them."""

from __future__ import annotations

RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no usage statistics are sent
    # Despite its name: Ray takes 127.0.0.1 for its node, so that its own servers listen on loopback only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # On a busy machine Ray's agents can take longer than the default limit of 30 s.
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_worker_niceness": "0",  # Ray's default gives all other processes of the machine priority over the replicas
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.serving.proxy_middleware.middlewares",
    # By default Serve's controller checks everything ten times a second. That takes half of an idle service's
    # processor time, in the controller and in the Ray servers that it queries.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's future default; unset, Ray warns
}
"""For the process that starts Ray; set before Ray is imported."""

REPLICA_ENVIRONMENT = {
    # The handlers never block, so one event loop per replica suffices, which saves two thread switches per call.
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # Serve's limit of 4 MiB for a gRPC message is less than a large image; the settings' limits apply instead.
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**30),
}
"""For replicas only: a driver that uses handles from synchronous code does not work with these."""
