"""Parquet and Delta tables on S3, under the guide's names."""
