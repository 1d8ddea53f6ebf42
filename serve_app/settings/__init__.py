"""Typed settings of the service, read once at start and passed down."""

from serve_app.settings.loading import load_settings as load_settings
from serve_app.settings.loading import refuse_unknown_variables as refuse_unknown_variables
from serve_app.settings.sections import MOST_IN_A_REQUEST as MOST_IN_A_REQUEST
from serve_app.settings.sections import AuditSettings as AuditSettings
from serve_app.settings.sections import Autoscaling as Autoscaling
from serve_app.settings.sections import ImageUrls as ImageUrls
from serve_app.settings.sections import Limits as Limits
from serve_app.settings.sections import ServeOptions as ServeOptions
from serve_app.settings.sections import StorageSettings as StorageSettings
from serve_app.settings.sections import TracingSettings as TracingSettings
from serve_app.settings.stages import DetectorSettings as DetectorSettings
from serve_app.settings.stages import EmbedderSettings as EmbedderSettings
from serve_app.settings.stages import Inference as Inference
from serve_app.settings.stages import IngressSettings as IngressSettings
from serve_app.settings.stages import LivenessSettings as LivenessSettings
from serve_app.settings.stages import MatcherSettings as MatcherSettings
from serve_app.settings.stages import StageSettings as StageSettings
from serve_app.settings.topology import Topology as Topology
from serve_app.settings.tree import Settings as Settings
