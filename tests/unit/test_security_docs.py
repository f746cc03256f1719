"""docs/security.md names tests and files: they are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()


def test_every_test_it_names_is_there() -> None:
    files = set(re.findall(r"`((?:unit|e2e|contract)/test_\w+\.py)`", TEXT))
    names = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(files) >= 7
    held = {file: (ROOT / "tests" / file).read_text() for file in files}
    for name in names:
        assert any(f"def {name}(" in text for text in held.values()), name


def test_every_policy_is_named_and_there() -> None:
    flat = re.sub(r"\s+", " ", TEXT)
    for path in (*(ROOT / "deploy/aws").glob("*.json"), *(ROOT / "deploy/gcp").glob("*.yaml")):
        stem = path.stem.removesuffix("policy") if path.suffix == ".json" else path.name
        assert stem in flat, path.name
    for name in re.findall(r"`((?:aws|gcp)/[\w-]+\.(?:json|yaml))`", TEXT):
        assert (ROOT / "deploy" / name).exists(), name


def test_every_pinned_package_has_hashes() -> None:
    for name in ("requirements-dev.txt", "requirements-audit.txt"):
        text = (ROOT / name).read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert len(lines) > 20
        assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []
