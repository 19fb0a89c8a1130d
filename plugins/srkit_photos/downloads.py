"""What `srkit data get` can download.

The checksums and sizes of DIV2K are those of TensorFlow Datasets
(``tensorflow_datasets/datasets/div2k/checksums.tsv``). The MD5 sums of Flickr2K and Urban100 are in
the loaders of catalyst-team/esrgan and deepinv, that of Tiny ImageNet in many research
repositories, which also agree on its size. The authors publish no checksums.
"""

from __future__ import annotations

from typing import Literal

from srkit.interfaces import Archive, Download

_DIV2K = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
_MIRROR = "https://huggingface.co/datasets/"

#: Bytes and SHA-256 of DIV2K's archives.
DIV2K_ARCHIVES = {
    "train_HR": (
        3530603713,
        "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    ),
    "valid_HR": (
        448993893,
        "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    ),
    "train_LR_bicubic_X2": (
        925390592,
        "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850",
    ),
    "train_LR_bicubic_X3": (
        427847282,
        "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a",
    ),
    "train_LR_bicubic_X4": (
        246914039,
        "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a",
    ),
    "train_LR_unknown_X2": (
        734182735,
        "f166eeba119fc55bfc9a99c05561980e7a965382f36640ce8ef626c9f61d122c",
    ),
    "train_LR_unknown_X3": (
        377245548,
        "b6455af3b2aa02d76ae3238c49d7aae3b48b0acdc44b5bdc0f4c02d40ebcb43b",
    ),
    "train_LR_unknown_X4": (
        208956781,
        "d131c7aad51e0abbdc4433362ce899e5e75f40b9847ead70ee995188e8fd0adb",
    ),
    "valid_LR_bicubic_X2": (
        117763600,
        "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57",
    ),
    "valid_LR_bicubic_X3": (
        54513392,
        "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3",
    ),
    "valid_LR_bicubic_X4": (
        31505881,
        "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553",
    ),
    "valid_LR_unknown_X2": (
        93433041,
        "ec50bb084c0011130874efd2ed7859b46e0aa7104c565818d5271ac315e04e0a",
    ),
    "valid_LR_unknown_X3": (
        48143315,
        "ebf23a3e1ef6800cae97285d3a50d022d89b62655e685884c0abcc89eec5b809",
    ),
    "valid_LR_unknown_X4": (
        26695095,
        "e3897555a98de1157c20974fb6093105fbc1ff5e9caf7bd348f58f6da140fbef",
    ),
}

#: Terms of the test sets, if their authors state any.
BENCHMARK_LICENCES = {
    "Set5": "not stated by its authors",
    "Set14": "not stated by its authors",
    "B100": "from the Berkeley Segmentation Dataset: non-commercial research and education",
    "Urban100": "photographs from Flickr under Creative Commons licences, according to its paper",
}


def div2k(
    *, lr: Literal["bicubic", "unknown", "none"] = "none", scale: Literal[2, 3, 4] = 2
) -> Download:
    """DIV2K: 800 training and 100 validation photographs.

    Parameters
    ----------
    lr
        Also download the official LR pictures of one scale.
    scale
        Scale of the LR pictures.
    """
    parts = ["HR", *([] if lr == "none" else [f"LR_{lr}_X{scale}"])]
    archives = []
    for name in (f"{split}_{part}" for part in parts for split in ("train", "valid")):
        size, digest = DIV2K_ARCHIVES[name]
        archives.append(Archive(f"{_DIV2K}DIV2K_{name}.zip", size, f"sha256:{digest}"))
    return Download(
        title=f"DIV2K: {' and '.join(parts)}, train and validation",
        homepage=_DIV2K,
        licence="academic research only; the copyright belongs to the owner of each picture",
        folder="DIV2K",
        archives=archives,
    )


def flickr2k(*, source: Literal["mirror", "authors"] = "mirror") -> Download:
    """Flickr2K: 2650 training photographs.

    Parameters
    ----------
    source
        ``mirror`` has only HR; the ``authors``' archive also has LR, but their server has been
        reported as unavailable since 2024.
    """
    if source == "authors":
        archive = Archive(
            "https://cv.snu.ac.kr/research/EDSR/Flickr2K.tar",
            checksum="md5:5d3f39443d5e9489bff8963f8f26cb03",
            strip=1,
        )
    else:
        archive = Archive(f"{_MIRROR}yangtao9009/Flickr2K/resolve/main/Flickr2K.zip")
    return Download(
        title="Flickr2K: HR" + (", LR bicubic and unknown" if source == "authors" else ""),
        homepage="https://github.com/limbee/NTIRE2017",
        licence="not stated by its authors; each picture has its photographer's licence on Flickr",
        folder="Flickr2K",
        archives=[archive],
        notes=["a third-party mirror, not the authors' server"] if source == "mirror" else (),
    )


def benchmark_set(*, name: Literal["Set5", "Set14", "B100", "Urban100"]) -> Download:
    """Test sets, HR: Set5, Set14, B100 or Urban100.

    Parameters
    ----------
    name
        Name of the set; Manga109 is available on request at http://www.manga109.org.
    """
    there = {"B100": "BSD100"}.get(name, name)
    known = {"Urban100": "md5:65d9d84a34b72c6f7ca1e26a12df1e4c"}
    return Download(
        title=f"{name}: HR",
        homepage=f"{_MIRROR}eugenesiow/{there}",
        licence=BENCHMARK_LICENCES[name],
        folder=name,
        archives=[
            Archive(
                f"{_MIRROR}eugenesiow/{there}/resolve/main/data/{there}_HR.tar.gz",
                checksum=known.get(name),
            )
        ],
        notes=["a third-party mirror, not the authors' server"],
    )


def tiny_imagenet() -> Download:
    """Tiny ImageNet: 110,000 labelled pictures of 200 classes, 64 x 64."""
    return Download(
        title="Tiny ImageNet: train, val, and test without labels",
        homepage="https://www.kaggle.com/c/tiny-imagenet",
        licence="not stated by its authors; pictures from ImageNet: non-commercial research",
        folder="TinyImageNet",
        archives=[
            Archive(
                "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                248_100_043,
                "md5:90528d7ca1a48142e341f4ef8d21d0de",
                strip=1,
            )
        ],
    )
