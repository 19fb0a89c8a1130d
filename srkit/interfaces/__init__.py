"""Contracts between core and plugins: data classes and a protocol for each kind of component.

A component is anything that satisfies one of these protocols; nothing has to be inherited.
Its factory (a class or function with annotated, keyword-only parameters) is offered by the hook
of its kind, see :mod:`srkit.hookspecs`.

Pixels are float32 tensors, channels first. Photographs are RGB in [0, 1]; other data state
their `data_range`, and the core does not clip them.
"""

from srkit.interfaces.augmentations import Augmentation, BatchAugmentation, SampleAugmentation
from srkit.interfaces.datasets import (
    Archive,
    Dataset,
    Download,
    FingerprintedDataset,
    GroupedDataset,
    PlacedDataset,
    SizedDataset,
    Sizes,
    StoredDataset,
    WindowedDataset,
)
from srkit.interfaces.degradations import (
    Constraint,
    Degradation,
    FrameStretch,
    Observation,
    Observing,
    ObservingMetric,
    Stretch,
)
from srkit.interfaces.formats import (
    CalibratedFormat,
    EnlargingFormat,
    FormatLimits,
    ImageFormat,
    ImageSink,
    ImageSource,
    LevelsFormat,
    LimitedFormat,
    LossyFormat,
    ObjectFormat,
    ObservedFormat,
    PagedFormat,
    ReadOnlyFormat,
    SelectiveFormat,
    SignatureFormat,
    SizedFormat,
    SkyFormat,
    Upscaled,
    WindowedFormat,
)
from srkit.interfaces.games import Critic, Game, PenalisedGame
from srkit.interfaces.losses import Loss, PixelLoss, TeacherLoss, VarianceLoss, ViewLoss
from srkit.interfaces.metrics import MappedMetric, Metric, PooledMetric, TeacherMetric
from srkit.interfaces.networks import (
    Answer,
    Discriminator,
    FeatureDiscriminator,
    Generator,
    MultiScale,
    OpenNetwork,
    Published,
    Teacher,
    TrainedNetwork,
)
from srkit.interfaces.quantity import LRStatistics, Quantity
from srkit.interfaces.samples import VOID, Batch, Boxes, Extent, Image, Sample, Task, Window
from srkit.interfaces.training import AveragingOptimiser, Optimiser, Schedule, Tracker
from srkit.interfaces.view import View

__all__ = [
    "VOID",
    "Answer",
    "Archive",
    "Augmentation",
    "AveragingOptimiser",
    "Batch",
    "BatchAugmentation",
    "Boxes",
    "CalibratedFormat",
    "Constraint",
    "Critic",
    "Dataset",
    "Degradation",
    "Discriminator",
    "Download",
    "EnlargingFormat",
    "Extent",
    "FeatureDiscriminator",
    "FingerprintedDataset",
    "FormatLimits",
    "FrameStretch",
    "Game",
    "Generator",
    "GroupedDataset",
    "Image",
    "ImageFormat",
    "ImageSink",
    "ImageSource",
    "LRStatistics",
    "LevelsFormat",
    "LimitedFormat",
    "Loss",
    "LossyFormat",
    "MappedMetric",
    "Metric",
    "MultiScale",
    "ObjectFormat",
    "Observation",
    "ObservedFormat",
    "Observing",
    "ObservingMetric",
    "OpenNetwork",
    "Optimiser",
    "PagedFormat",
    "PenalisedGame",
    "PixelLoss",
    "PlacedDataset",
    "PooledMetric",
    "Published",
    "Quantity",
    "ReadOnlyFormat",
    "Sample",
    "SampleAugmentation",
    "Schedule",
    "SelectiveFormat",
    "SignatureFormat",
    "SizedDataset",
    "SizedFormat",
    "Sizes",
    "SkyFormat",
    "StoredDataset",
    "Stretch",
    "Task",
    "Teacher",
    "TeacherLoss",
    "TeacherMetric",
    "Tracker",
    "TrainedNetwork",
    "Upscaled",
    "VarianceLoss",
    "View",
    "ViewLoss",
    "Window",
    "WindowedDataset",
    "WindowedFormat",
]
