"""Values that the services take, under the guide's names."""
