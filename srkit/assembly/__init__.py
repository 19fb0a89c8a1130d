"""From a checked recipe to components on a device."""
