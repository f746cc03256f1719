"""The guards: pieces of code without which an object could be lost, mixed, stale or unproven.

Each is removed by replacing ``code`` with ``instead`` in ``file``; ``tests`` are those most
likely to see it (the whole suite is asked where they do not). ``code`` has to be there exactly
once: a test of the suite says so where the code has moved on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Guard:
    """One guard, and how to take it away. ``rule`` is the number of what must always hold in
    ARCHITECTURE.md.
    """

    name: str
    rule: int
    file: str
    code: str
    instead: str
    tests: tuple[str, ...]


_COPIER: Final = ("tests/unit/test_copier.py", "tests/unit/test_histories.py")
_RUNNER: Final = ("tests/unit/test_runner.py", "tests/unit/test_histories.py")
_LISTS: Final = ("tests/unit/test_comparison.py", "tests/unit/test_backfill.py")

GUARDS: Final = (
    Guard(
        "pin: If-Match on ranged reads",
        3,
        "sync/engine/versioning.py",
        "return Pin(current(ref), if_match=identity.etag)",
        "return Pin(current(ref))",
        ("tests/unit/test_versioning.py", *_COPIER),
    ),
    Guard(
        "pin: the version id on ranged reads",
        3,
        "sync/engine/versioning.py",
        "return Pin(ObjectRef(ref.bucket, ref.key, identity.version_id))",
        "return Pin(current(ref))",
        ("tests/unit/test_versioning.py", *_COPIER),
    ),
    Guard(
        "pin: the reply must name the version asked for",
        3,
        "sync/engine/parts.py",
        "                _same_version(read.meta.identity, work.identity)\n",
        "",
        _COPIER,
    ),
    Guard(
        "checksum compare of a write",
        3,
        "sync/engine/integrity.py",
        '    if algorithm:\n        raise IntegrityError(f"{what}: the destination',
        '    if algorithm and not what:\n        raise IntegrityError(f"{what}: the destination',
        ("tests/unit/test_integrity.py", *_COPIER),
    ),
    Guard(
        "checksum compare of a write whose reply says nothing",
        3,
        "sync/engine/transfer.py",
        "    if not confirm(sums, receipt, what):\n",
        "    if not confirm(sums, receipt, what) and not what:\n",
        _COPIER,
    ),
    Guard(
        "checksum compare with the source's own before the last chunk",
        3,
        "sync/checksums.py",
        "        algorithm = disagreement(self.digester.checksums(), self._expected)\n",
        '        algorithm = ""\n',
        ("tests/unit/test_integrity.py", *_COPIER),
    ),
    Guard(
        "checksum compare of all parts with the source's own",
        3,
        "sync/engine/multipart.py",
        "        self._compare_with_source(meta, expected)\n",
        "",
        _COPIER,
    ),
    Guard(
        "the finished multipart object is looked at",
        3,
        "sync/engine/multipart.py",
        "            if await shown(self._context, work.job.destination, expected) is False:\n",
        "            if await shown(self._context, work.job.destination, expected) is ...:\n",
        _COPIER,
    ),
    Guard(
        "converge: the look at the source after the write",
        2,
        "sync/engine/copier.py",
        "found == written.identity or (pair == before and _same_bytes(*pair))",
        "found is not None",
        _COPIER,
    ),
    Guard(
        "converge: an unanswered write is looked at once more",
        2,
        "sync/engine/copier.py",
        "            while state.unknown_write:",
        "            while not outcome:",
        _COPIER,
    ),
    Guard(
        "converge: a job that fails after an unanswered write stays",
        2,
        "sync/engine/settling.py",
        "        if not state.may_land_late and not state.stays:\n",
        "        if state.stays >= 0:\n",
        _RUNNER,
    ),
    Guard(
        "multipart: an upload that is gone was completed only if its metadata is there too",
        3,
        "sync/engine/multipart.py",
        "        return like is not None and not like.differs\n",
        "        return like is not None\n",
        _COPIER,
    ),
    Guard(
        "converge: a message of several jobs waits where a write may land late",
        2,
        "sync/engine/settling.py",
        "            delay = max(delay, self._grace)\n",
        "            pass\n",
        _RUNNER,
    ),
    Guard(
        "delete: the source is asked first",
        2,
        "sync/engine/copier.py",
        "        if not await self._really_gone(job):\n"
        "            return await self._exists_after_all(job, state)\n",
        "",
        _COPIER,
    ),
    Guard(
        "delete: the source is asked again afterwards",
        2,
        "sync/engine/copier.py",
        "        if not await self._really_gone(job):\n"
        "            return await self._converge(job, state)\n",
        "",
        _COPIER,
    ),
    Guard(
        "delete: a missing bucket is no missing object",
        2,
        "sync/engine/copier.py",
        """                async with self._context.source.open(current(job.source)):
                    return False
            except NoSuchBucket:
                raise
""",
        """                async with self._context.source.open(current(job.source)):
                    return False
""",
        _COPIER,
    ),
    Guard(
        "delete: skipped only where the destination is seen to hold the object",
        2,
        "sync/engine/copier.py",
        "        if meta is not None and await self._is_copy(job, meta):\n",
        "        if meta is not None:\n",
        _COPIER,
    ),
    Guard(
        "delete: an object is not called gone on a HEAD's word",
        2,
        "sync/engine/copier.py",
        "            if not await self._really_gone(job):\n"
        '                raise SourceChanged(f"{job.source} is there after all")\n',
        "",
        _COPIER,
    ),
    Guard(
        "metadata: a change of it alone is another version where no id tells",
        2,
        "sync/adapters/s3_headers.py",
        "        return Identity(etag, size, version)\n    kept = kept",
        "        return Identity(etag, size, version)\n    return Identity(etag, size, version)\n"
        "    kept = kept",
        ("tests/unit/test_metadata_only_changes.py", *_COPIER),
    ),
    Guard(
        "acknowledgement: not for what failed",
        1,
        "sync/engine/runner.py",
        "        if any(errors):\n",
        "        if all(errors) and len(errors) > 1:\n",
        _RUNNER,
    ),
    Guard(
        "acknowledgement: not before the dead-letter queue has the message",
        1,
        "sync/engine/settling.py",
        """            handed_over = False
        if handed_over:
""",
        """            handed_over = False
        if not handed_over or handed_over:
""",
        _RUNNER,
    ),
    Guard(
        "acknowledgement: a message that failed is not worn out at once",
        1,
        "sync/engine/settling.py",
        "        return tries >= self._options.max_receives\n",
        "        return True\n",
        _RUNNER,
    ),
    Guard(
        "heartbeat: leases of what is in hand are extended",
        1,
        "sync/engine/leases.py",
        "        await asyncio.gather(*(self._extend(batch, now) for batch in _tens(due)))\n",
        "",
        _RUNNER,
    ),
    Guard(
        "heartbeat: what may still land late is not given back at shutdown",
        2,
        "sync/engine/runner.py",
        " if not any(s.may_land_late for s in states)]\n",
        " if states or not states]\n",
        _RUNNER,
    ),
    Guard(
        "resume: only the same source version, by the ledger",
        2,
        "sync/engine/resume.py",
        "        same = record.identity == identity and fits(",
        "        same = fits(",
        ("tests/unit/test_planner.py", *_COPIER),
    ),
    Guard(
        "resume: only the same source version, by the mark",
        2,
        "sync/engine/resume.py",
        "        if marked.etag == digest and fits(",
        "        if digest and fits(",
        ("tests/unit/test_planner.py", *_COPIER),
    ),
    Guard(
        "resume: kept parts that nobody vouches for are read again",
        3,
        "sync/engine/opening.py",
        "            if crc is None and self._must_reread(part, newest):\n",
        "            if crc is None and newest < 0:\n",
        _COPIER,
    ),
    Guard(
        "resume: a kept part whose MD5 differs is sent again",
        3,
        "sync/engine/parts.py",
        "        if sums.md5 == listed:\n",
        "        if listed:\n",
        _COPIER,
    ),
    Guard(
        "partial listing: a failure ends the comparison",
        4,
        "sync/engine/comparing/together.py",
        """    except BaseExceptionGroup as failures:
        raise _first(failures) from None


async def both""",
        """    except BaseExceptionGroup:
        pass


async def both""",
        _LISTS,
    ),
    Guard(
        "partial listing: no deletes after a failed one",
        4,
        "sync/backfill/pair.py",
        """                await self._compare(left or [])
            await self._delete()
        except SyncError as error:
            self.report.errors.append(f"{self._pair}: {error}")
""",
        """                await self._compare(left or [])
        except SyncError as error:
            self.report.errors.append(f"{self._pair}: {error}")
        await self._delete()
""",
        _LISTS,
    ),
    Guard(
        "partial listing: keys out of order are refused",
        4,
        "sync/engine/comparing/reading.py",
        "        self._check(entries)\n",
        "",
        _LISTS,
    ),
    Guard(
        "partial listing: a truncated page has to say where to go on",
        4,
        "sync/engine/comparing/reading.py",
        "        self.ended = not page.token\n",
        "        self.ended = True\n",
        _LISTS,
    ),
    Guard(
        "deletes of a comparison: not more than the cap",
        4,
        "sync/backfill/pair.py",
        "        if len(keys) > cap:\n",
        "        if len(keys) < 0:\n",
        _LISTS,
    ),
    Guard(
        "keys: one that the destination cannot hold is refused",
        5,
        "sync/engine/copier.py",
        "        self._context.check_key(job.destination)\n",
        "",
        _COPIER,
    ),
    Guard(
        "secrets: credentials have a repr without them",
        6,
        "sync/ports.py",
        'return f"Credentials(…{self.access_key[-4:]})"',
        'return f"Credentials({self.access_key}, {self.secret_key})"',
        ("tests/unit/test_credentials_cache.py", "tests/unit/test_wire_guards.py"),
    ),
)
