"""Imports of the packages of the extra ``srkit[astro]``."""

from __future__ import annotations

from functools import partial

from srkit import system

#: Import a package of the extra in this context, see :func:`srkit.system.needs`.
needs = partial(system.needs, extra="astro")
