"""Packages of the extra ``srkit[astro]``."""

from __future__ import annotations

from functools import partial

from srkit.system import extras

#: Import a package of the extra in this context, see :func:`srkit.system.extras.needs`.
needs = partial(extras.needs, extra="astro")
