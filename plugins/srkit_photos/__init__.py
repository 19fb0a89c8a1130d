"""Photographs: data sets, degradations and picture formats."""

from srkit import hookimpl


@hookimpl
def srkit_datasets() -> dict[str, str]:
    """Offer folders of pictures, ImageNet, and the pictures of installed packages."""
    return {
        "image_folder": "srkit_photos.folders:image_folder",
        "imagenet": "srkit_photos.imagenet:imagenet",
        "sample_photos": "srkit_photos.samples:SamplePhotos",
    }


@hookimpl
def srkit_degradations() -> dict[str, str]:
    """Offer plain shrinking."""
    module = "srkit_photos.degradations"
    return {
        "area": f"{module}:Area",
        "bicubic": f"{module}:Bicubic",
        "bilinear": f"{module}:Bilinear",
        "lanczos": f"{module}:Lanczos",
        "nearest": f"{module}:Nearest",
    }


@hookimpl
def srkit_image_formats() -> dict[str, str]:
    """Offer the formats of Pillow and TIFF."""
    return {
        "jpeg": "srkit_photos.formats:Jpeg",
        "png": "srkit_photos.formats:Png",
        "tiff": "srkit_photos.tiff:Tiff",
        "webp": "srkit_photos.formats:WebP",
    }
