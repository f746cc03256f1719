"""What the vendors call the permission that an operation needs, and who can give it.

Sources: Cloud Storage documentation, "IAM permissions for XML requests"; Amazon S3 user guide,
"Required permissions for Amazon S3 API operations".
"""

from __future__ import annotations

from typing import Final

from sync.errors import AccessDenied, CredentialsRejected, NoSuchBucket, StoreError, SyncError
from sync.model import Dialect

_GCS: Final = {
    "PutObject": "storage.objects.create",
    "ReplaceObject": "storage.objects.delete and storage.objects.create",
    "HeadObject": "storage.objects.get",
    "GetObject": "storage.objects.get",
    "DeleteObject": "storage.objects.delete",
    "ListObjectsV2": "storage.objects.list",
    "CreateMultipartUpload": "storage.multipartUploads.create and storage.objects.create",
    "UploadPart": "storage.multipartUploads.create and storage.objects.create",
    "CompleteMultipartUpload": "storage.multipartUploads.create and storage.objects.create",
    "AbortMultipartUpload": "storage.multipartUploads.abort",
    "ListParts": "storage.multipartUploads.listParts",
    "ListMultipartUploads": "storage.multipartUploads.list",
}
_S3: Final = {
    "PutObject": "s3:PutObject",
    "ReplaceObject": "s3:PutObject",
    "HeadObject": "s3:GetObject (and s3:GetObjectVersion where a version is named)",
    "GetObject": "s3:GetObject (and s3:GetObjectVersion where a version is named)",
    "GetObjectTagging": "s3:GetObjectTagging",
    "DeleteObject": "s3:DeleteObject (and s3:DeleteObjectVersion in a versioned bucket)",
    "ListObjectsV2": "s3:ListBucket",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}


def permission(operation: str, dialect: Dialect) -> str:
    """The vendor's name of what ``operation`` needs, or "" for an operation of another kind."""
    return (_GCS if dialect.name == "gcs" else _S3).get(operation, "")


def explained(error: SyncError, dialect: Dialect, *, operation: str = "", bucket: str = "") -> str:
    """The error's text with the permission that is missing, where that is what it says.

    ``operation`` names the need more exactly than the request that was refused.
    """
    if isinstance(error, CredentialsRejected) or not isinstance(error, StoreError):
        return str(error)
    if isinstance(error, AccessDenied):
        wanted = permission(operation or error.operation, dialect)
        return f"{error}; {_mend(wanted, dialect, bucket)}" if wanted else str(error)
    if isinstance(error, NoSuchBucket):
        return f"{error}; create the bucket or mend its name"
    return str(error)


def _mend(wanted: str, dialect: Dialect, bucket: str) -> str:
    if dialect.name == "gcs":
        return (
            f"missing: {wanted}: give the HMAC key's service account the role Storage Object "
            f"User (roles/storage.objectUser) on the bucket {bucket}".rstrip()
        )
    return f"missing: {wanted}: allow it on {bucket or 'the bucket'} in the policy of these keys"
