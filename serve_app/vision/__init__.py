"""Image processing: detection, alignment, quality, liveness and embedding of faces; model files and the catalogue."""
