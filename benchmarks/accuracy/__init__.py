"""Error rates of recognition, detection, quality codes and liveness on folders of images."""
