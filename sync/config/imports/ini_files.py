"""The cluster version's and the single node's ini files."""

from __future__ import annotations

from configparser import ConfigParser
from configparser import Error as IniError
from typing import Final

from sync.config.imports.found import Import, is_secret
from sync.config.inifile import clean_value, parse
from sync.config.keys import BY_NAME
from sync.config.loader import adapt_old_file
from sync.errors import ConfigError

_SINGLE_NODE: Final = {"local_to_s3", "s3_to_s3", "alioss_to_s3", "advanced"}
# Of the single node: what has the same meaning here, by section and name in lower case.
_SAME: Final = {
    ("basic", "desprofilename"): "DestProfileName",
    ("basic", "desbucket"): "Des_bucket_default",
    ("s3_to_s3", "srcprofilename"): "SrcProfileName",
    ("advanced", "chunksize"): "ChunkSize",
    ("advanced", "maxretry"): "MaxRetry",
    ("advanced", "maxthread"): "MaxThread",
    ("advanced", "maxparallelfile"): "MaxParallelFile",
    ("advanced", "storageclass"): "StorageClass",
    ("advanced", "ifverifymd5"): "ifVerifyMD5Twice",
    ("advanced", "logginglevel"): "LoggingLevel",
}
_OPTIONS: Final = {
    ("basic", "s3prefix"): "an option now: 3gsync jobsender --source-prefix {}",
    ("s3_to_s3", "srcbucket"): "an option now: 3gsync jobsender --source-bucket {}",
    ("alioss_to_s3", "ali_srcbucket"): "an option now: 3gsync jobsender --source-bucket {}",
    ("advanced", "dontaskmetoclean"): "nothing asks; 3gsync uploads abort cleans up",
    ("local_to_s3", "srcdir"): "files of this machine are not copied, only objects of a store",
}
_OTHER_SOURCE: Final = "it is the setting of another JobType"


def is_single_node(text: str) -> bool:
    """True where there are sections that only the single node's files have."""
    return bool({name.lower() for name in _parser(text, "").sections()} & _SINGLE_NODE)


def import_cluster(data: bytes, source: str) -> Import:
    """A file that the cluster version or the first 3GSync read; both are read as they are."""
    parsed, found = parse(data, source), Import(source)
    written = set(parsed.given)
    notes = list(adapt_old_file(parsed.given))
    for name, given in parsed.given.items():
        what, kind = f"{given.where} {name}", BY_NAME[name.lower()].kind
        try:
            kind.parse(given.text)
        except ValueError:
            found.leave(what, f"{kind.show(given.text)}: must be {kind.allowed}")
        else:
            found.take(what if name in written else "left out there", name, given.text)
    found.left += parsed.faults
    found.todo += notes
    return found


def import_single_node(text: str, source: str) -> Import:
    """s3_upload_config.ini. ConfigError for a job that is not from store to store."""
    parser, found = _parser(text, source), Import(source)
    given = {
        (section.lower(), name): clean_value(parser.get(section, name) or "")
        for section in parser.sections()
        for name in parser.options(section)
    }
    job = given.pop(("basic", "jobtype"), "LOCAL_TO_S3").upper()
    if job not in {"S3_TO_S3", "ALIOSS_TO_S3"}:
        raise ConfigError(
            f"{source}: JobType = {job}: files of this machine are not copied, only objects of a "
            "store; there is nothing to import"
        )
    found.take(f"JobType {job}: keys by profile or environment", "JobType", "ENV")
    _endpoints(given, job, found)
    for (section, name), value in given.items():
        _single(found, section, name, value, job=job)
    _chunk(found)
    found.take("the single node kept no table", "table_queue_name", "")
    found.todo.append(
        "set sqs_queue_name and make the queue (3gsync queue init): jobs travel through a queue; "
        "3gsync jobsender fills it, 3gsync worker --until-empty empties it"
    )
    return found


def _parser(text: str, source: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except AttributeError:
        # A slip of configparser: a key without value, and an indented line behind it.
        raise ConfigError(f"{source}: a line goes on where there is no value") from None
    except IniError as error:
        # Its text holds the line, and the line may hold a key.
        line = getattr(error, "lineno", None) or next(iter(getattr(error, "errors", ())), (0,))[0]
        raise ConfigError(f"{source}:{line}: neither [section] nor key = value") from None
    return parser


def _endpoints(given: dict[tuple[str, str], str], job: str, found: Import) -> None:
    destination = given.pop(("basic", "desendpointurl"), "")
    _endpoint(found, "DesEndPointURL", "DestEndPointURL", destination)
    if job == "S3_TO_S3":
        source = given.pop(("s3_to_s3", "srcendpointurl"), "")
        _endpoint(found, "SrcEndPointURL", "SrcEndPointURL", source)
        return
    host = given.pop(("alioss_to_s3", "ali_endpoint"), "") or given.pop(
        ("basic", "ali_endpoint"), ""
    )
    _endpoint(found, "ali_endpoint", "SrcEndPointURL", f"https://{host}" if host else "")
    found.take("OSS wants the bucket in the host name", "AddressingStyle", "virtual")


def _endpoint(found: Import, what: str, key: str, text: str) -> None:
    url = "" if text.lower() in {"aws", "none", ""} else text
    found.take(what, key, url)


def _single(found: Import, section: str, name: str, value: str, *, job: str) -> None:
    key = _SAME.get((section, name))
    what = f"[{section}] {name}"
    if section in _SINGLE_NODE - {"advanced"} and section != job.lower():
        found.leave(what, _OTHER_SOURCE)
    elif is_secret(name):
        variable = "SRC_AWS_SECRET_ACCESS_KEY" if "secret" in name else "SRC_AWS_ACCESS_KEY_ID"
        found.leave(what, f"no key is written to a file: set the environment variable {variable}")
    elif (section, name) == ("basic", "srcfileindex"):
        if value not in {"", "*"}:
            found.leave(what, f"one object: 3gsync jobsender --source-prefix {value}")
    elif key is not None:
        if value:
            found.take(what, key, value)
    else:
        why = _OPTIONS.get((section, name), "there is no counterpart")
        found.leave(what, why.format(value or "''"))


def _chunk(found: Import) -> None:
    """Objects of a chunk and more went in parts."""
    chunk = found.values.get("ChunkSize")
    if chunk:
        found.take("objects of a chunk and more went in parts", "ResumableThreshold", chunk)
