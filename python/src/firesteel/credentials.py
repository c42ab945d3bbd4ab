"""Credentials of an object store. They go into requests and settings; nothing shows them."""
from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class UserAWSCredentials:
    """Keys for S3, or for what speaks its protocol at `endpoint_url` (else `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`)."""

    aws_access_key_id: str = field(repr=False)
    aws_secret_access_key: str = field(repr=False)
    aws_region: str | None = None
    aws_session_token: str | None = field(default=None, repr=False)
    endpoint_url: str | None = None

    def __post_init__(self) -> None:
        for name in ("aws_access_key_id", "aws_secret_access_key"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ValueError(f"{name} is to be a text that is not empty")

    @classmethod
    def from_environment(cls) -> UserAWSCredentials:
        """`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` or `AWS_DEFAULT_REGION`."""
        found = os.environ.get
        return cls(
            aws_access_key_id=found("AWS_ACCESS_KEY_ID", ""),
            aws_secret_access_key=found("AWS_SECRET_ACCESS_KEY", ""),
            aws_region=found("AWS_REGION") or found("AWS_DEFAULT_REGION"),
            aws_session_token=found("AWS_SESSION_TOKEN") or None,
        )

    @property
    def endpoint(self) -> str | None:
        return self.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None

    def to_request(self) -> dict[str, str]:
        """The `credentials` field of a REST request."""
        values = {
            "aws_access_key_id": self.aws_access_key_id,
            "aws_secret_access_key": self.aws_secret_access_key,
            "aws_session_token": self.aws_session_token,
            "aws_region": self.aws_region,
            "endpoint_url": self.endpoint,
        }
        return {name: value for name, value in values.items() if value}

    def spark_conf(self) -> dict[str, str]:
        """The settings of Hadoop's S3A connector, for `conf.setAll(…)` or options of a reader."""
        values = {
            "spark.hadoop.fs.s3a.access.key": self.aws_access_key_id,
            "spark.hadoop.fs.s3a.secret.key": self.aws_secret_access_key,
            "spark.hadoop.fs.s3a.session.token": self.aws_session_token,
            "spark.hadoop.fs.s3a.endpoint.region": self.aws_region,
            "spark.hadoop.fs.s3a.endpoint": self.endpoint,
            "spark.hadoop.fs.s3a.path.style.access": "true" if self.endpoint else None,
        }
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True)
class Profile:
    """Credentials that the server's configuration holds under a name."""

    name: str

    def to_request(self) -> dict[str, str]:
        return {"profile": self.name}


# A mapping goes to the server as it is.
Credentials = UserAWSCredentials | Profile | Mapping[str, Any]


def to_request(credentials: Credentials | None) -> dict[str, Any] | None:
    if credentials is None:
        return None
    if isinstance(credentials, Mapping):
        return dict(credentials)
    return credentials.to_request()
