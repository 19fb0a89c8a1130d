"""Images from and to files and arrays."""

from srkit.images.arrays import (
    array_of_image,
    channel_axis,
    check_magnitude,
    image_of_array,
    image_of_values,
    lay_out,
    outline_of,
    range_between,
    to_depth,
    to_image,
    without_sentinels,
)
from srkit.images.crops import crop_image
from srkit.images.find import find_pictures
from srkit.images.formats import Formats, split_selection
from srkit.images.limits import allow, allowed_pixels, check_pixels
from srkit.images.stored_rows import StoredArray, chunks

__all__ = [
    "Formats",
    "StoredArray",
    "allow",
    "allowed_pixels",
    "array_of_image",
    "channel_axis",
    "check_magnitude",
    "check_pixels",
    "chunks",
    "crop_image",
    "find_pictures",
    "image_of_array",
    "image_of_values",
    "lay_out",
    "outline_of",
    "range_between",
    "split_selection",
    "to_depth",
    "to_image",
    "without_sentinels",
]
