"""The stages of the graph: a plain class each, made a Ray Serve deployment by :mod:`serve_app.app`."""
