"""Tests of the service, in folders named after the packages that they test."""

from serve_app.process_environment import keep_quiet

keep_quiet()  # also libraries that a test imports before the service's modules
