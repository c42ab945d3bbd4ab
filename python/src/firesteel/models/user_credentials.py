"""Credentials of a user."""
from ..credentials import UserAWSCredentials

__all__ = ["UserAWSCredentials"]
