"""Photographs: data sets, degradations and picture formats."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_datasets() -> dict[str, str]:
    """Return folders and shards, ImageNet, DIV2K and others, and pictures of installed packages."""
    return {
        "benchmark_set": "srkit_photos.datasets.benchmark_sets:benchmark_set",
        "coco_boxes": "srkit_photos.datasets.annotated:CocoBoxes",
        "df2k": "srkit_photos.datasets.div2k:df2k",
        "div2k": "srkit_photos.datasets.div2k:div2k",
        "flickr2k": "srkit_photos.datasets.div2k:flickr2k",
        "image_folder": "srkit_photos.datasets.folders:image_folder",
        "imagenet": "srkit_photos.datasets.imagenet:imagenet",
        "sample_photos": "srkit_photos.datasets.samples:SamplePhotos",
        "sample_scenes": "srkit_photos.datasets.sample_scenes:SampleScenes",
        "segmentation_folder": "srkit_photos.datasets.annotated:SegmentationFolder",
        "tiny_imagenet": "srkit_photos.datasets.tiny_imagenet:tiny_imagenet",
        "webdataset": "srkit_photos.shards.dataset:ShardPhotos",
    }


@hookimpl
def srkit_commands() -> dict[str, str]:
    """Return the command that packs pictures into shards."""
    return {"data shard": "srkit_photos.shards.command:shard"}


@hookimpl
def srkit_degradations() -> dict[str, str]:
    """Return downscaling, single steps such as blur and JPEG, and Real-ESRGAN and BSRGAN."""
    plain, step = "srkit_photos.degradations.downscaling", "srkit_photos.degradations.single_steps"
    return {
        "area": f"{plain}:Area",
        "bicubic": f"{plain}:Bicubic",
        "bilinear": f"{plain}:Bilinear",
        "bsrgan": "srkit_photos.degradations.bsrgan:Bsrgan",
        "downscale": f"{step}:Downscale",
        "gaussian_blur": f"{step}:GaussianBlur",
        "gaussian_noise": f"{step}:Noise",
        "jpeg": f"{step}:JpegCompression",
        "lanczos": f"{plain}:Lanczos",
        "motion_blur": f"{step}:MotionBlur",
        "nearest": f"{plain}:Nearest",
        "poisson_noise": f"{step}:ShotNoise",
        "second_order": "srkit_photos.degradations.second_order:SecondOrder",
    }


@hookimpl
def srkit_downloads() -> dict[str, str]:
    """Return DIV2K, Flickr2K, Tiny ImageNet and test sets."""
    module = "srkit_photos.downloads"
    return {
        "benchmark_set": f"{module}:benchmark_set",
        "div2k": f"{module}:div2k",
        "flickr2k": f"{module}:flickr2k",
        "tiny_imagenet": f"{module}:tiny_imagenet",
    }


@hookimpl
def srkit_image_formats() -> dict[str, str]:
    """Return the formats of Pillow, TIFF, and NumPy arrays."""
    return {
        "avif": "srkit_photos.formats.pillow_formats:Avif",
        "bmp": "srkit_photos.formats.other_pictures:Bmp",
        "gif": "srkit_photos.formats.other_pictures:Gif",
        "heic": "srkit_photos.formats.other_pictures:Heic",
        "jpeg": "srkit_photos.formats.pillow_formats:Jpeg",
        "netpbm": "srkit_photos.formats.other_pictures:Netpbm",
        "npy": "srkit_photos.formats.numpy_files:Npy",
        "npz": "srkit_photos.formats.numpy_files:Npz",
        "png": "srkit_photos.formats.pillow_formats:Png",
        "tiff": "srkit_photos.formats.tiff:Tiff",
        "webp": "srkit_photos.formats.pillow_formats:WebP",
    }
