"""3GSync: keeps a destination bucket equal to a source S3 bucket, and proves it."""

__version__ = "0.1.0"
