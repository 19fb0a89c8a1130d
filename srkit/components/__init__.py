"""Plugins and their components: discovery, and signatures as options."""
