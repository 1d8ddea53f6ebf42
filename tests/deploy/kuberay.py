"""KubeRay's RayService, as far as our file uses it: no package on PyPI or npm was found to carry its schema.

Written from KubeRay's API reference (``ray.io/v1``). What is not named here is refused, as the API server refuses what
the resource's definition does not have: whoever uses one more field looks it up there first, and adds it here. Pod
templates are Kubernetes' own, and are checked against its schemas.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Parameters = dict[str, str]
"""Options of ``ray start``: the definition wants strings, numbers in quotation marks."""

Count = Annotated[int, Field(ge=0, le=2**31 - 1)]


class Part(BaseModel):
    """Takes the fields that it names, of exactly their types."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Metadata(Part):
    """Of any object; what our file sets of it."""

    name: str
    labels: dict[str, str]


class AuthOptions(Part):
    """Since KubeRay 1.5.1: the operator makes the token, and gives it to all pods and itself."""

    mode: Literal["disabled", "token"]


class AutoscalerOptions(Part):
    """Of Ray's autoscaler, beside the head."""

    upscaling_mode: Literal["Default", "Aggressive", "Conservative"]
    idle_timeout_seconds: Count
    resources: dict[str, Any]
    security_context: dict[str, Any]
    volume_mounts: list[dict[str, Any]]


class GcsFaultToleranceOptions(Part):
    """Where Ray keeps what it knows of the cluster, so that it survives the head."""

    redis_address: str
    redis_password: dict[str, Any]


class HeadGroup(Part):
    """The head pod."""

    ray_start_params: Parameters
    template: dict[str, Any]


class WorkerGroup(Part):
    """Pods that are alike."""

    group_name: str
    replicas: Count
    min_replicas: Count
    max_replicas: Count
    ray_start_params: Parameters
    template: dict[str, Any]

    @model_validator(mode="after")
    def _bounds(self) -> WorkerGroup:
        if not self.min_replicas <= self.replicas <= self.max_replicas:
            raise ValueError("expected minReplicas <= replicas <= maxReplicas")
        return self


class Cluster(Part):
    """The specification of a RayCluster."""

    ray_version: str
    auth_options: AuthOptions
    enable_in_tree_autoscaling: bool
    autoscaler_options: AutoscalerOptions
    gcs_fault_tolerance_options: GcsFaultToleranceOptions | None = None
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


class Specification(Part):
    """What a RayService shall be."""

    serve_config_v2: str
    ray_cluster_config: Cluster


class RayService(Part):
    """The whole object."""

    api_version: Literal["ray.io/v1"]
    kind: Literal["RayService"]
    metadata: Metadata
    spec: Specification
