"""Imports of the packages of the extra ``srkit[astro]``."""

from __future__ import annotations

from functools import partial

from srkit.system import needs as needs_extra

#: Import a package of the extra in this context, see :func:`srkit.system.needs`.
needs = partial(needs_extra, extra="astro")
