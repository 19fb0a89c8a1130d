"""From samples to batches; labels, masks and boxes."""
