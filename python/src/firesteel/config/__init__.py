"""The session and its configuration, under the guide's names."""
