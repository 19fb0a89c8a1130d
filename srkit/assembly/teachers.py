"""Which answers of a teacher are needed."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import filter as matching

from srkit.interfaces import (
    Teacher,
    TeacherLoss,
    TeacherMetric,
)


def wanted_stages(
    readers: Mapping[str, TeacherLoss] | Mapping[str, TeacherMetric], teacher: Teacher
) -> list[str]:
    """List each stage of a teacher that any loss or metric reads, once.

    What matches no stage is kept: the teacher says which there are.
    """
    named = (stage for reader in readers.values() for stage in reader.stages)
    found = (stage for name in named for stage in matching(teacher.stages, name) or [name])
    return list(dict.fromkeys(found))
