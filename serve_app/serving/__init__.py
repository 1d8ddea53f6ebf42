"""Ray Serve integration: application graph, deployments, calls between replicas, HTTP server."""
