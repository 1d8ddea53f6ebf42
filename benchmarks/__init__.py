"""Benchmarks of the service and its parts, and the published figures in ``results/``: ``python -m benchmarks --help``.

accuracy     how often the models are right: templates, identification, detection, quality, occlusion, liveness
components   how fast one part is alone: models on the CPU and the GPU, the vector index
load         how the running service behaves under load: latency, throughput, autoscaling, capacity, soak
common       shared tools: data sets, the service as a process, statistics, reports, plots
"""

from serve_app.process_environment import keep_quiet

keep_quiet()  # also libraries that a benchmark imports before the service's modules
