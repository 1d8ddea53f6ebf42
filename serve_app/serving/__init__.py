"""The Ray Serve side: the application graph, deployments, calls between replicas, the HTTP server."""
