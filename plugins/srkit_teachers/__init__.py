"""Networks that judge images, and the losses and metrics on their answers."""

from srkit import hookimpl

SRKIT_API = 1


@hookimpl
def srkit_teachers() -> dict[str, str]:
    """Return networks that classify, segment, detect and embed."""
    return {
        "efficientnet_lite0": "srkit_teachers.classifiers.efficientnet_lite0:EfficientNetLite0",
        "timm": "srkit_teachers.classifiers.timm_models:Timm",
        "timm_embedding": "srkit_teachers.embedders.timm_embedding:TimmEmbedding",
        "torchvision": "srkit_teachers.classifiers.torchvision_models:Torchvision",
        "torchvision_detection": "srkit_teachers.detectors.detector:TorchvisionDetection",
        "torchvision_segmentation": (
            "srkit_teachers.segmenters.torchvision_segmentation:TorchvisionSegmentation"
        ),
        "unet": "srkit_teachers.segmenters.unet:UNet",
    }


@hookimpl
def srkit_losses() -> dict[str, str]:
    """Return the losses on answers, and perceptual losses, which have their own networks."""
    return {
        "cross_entropy": "srkit_teachers.losses:CrossEntropy",
        "detection_mse": "srkit_teachers.detection:DetectionMSE",
        "dists": "srkit_teachers.similarity:DISTSLoss",
        "embedding_cosine": "srkit_teachers.embedding:EmbeddingCosine",
        "feature_l1": "srkit_teachers.losses:FeatureL1",
        "feature_mse": "srkit_teachers.losses:FeatureMSE",
        "logit_kl": "srkit_teachers.losses:LogitKL",
        "logit_mse": "srkit_teachers.losses:LogitMSE",
        "lpips": "srkit_teachers.similarity:LPIPSLoss",
        "soft_iou": "srkit_teachers.losses:SoftIoU",
        "vgg_perceptual": "srkit_teachers.perceptual:VGGPerceptual",
    }


@hookimpl
def srkit_metrics() -> dict[str, str]:
    """Return the metrics on answers, and LPIPS and DISTS, which have their own networks."""
    return {
        "accuracy": "srkit_teachers.metrics:Accuracy",
        "agreement": "srkit_teachers.metrics:Agreement",
        "cross_entropy": "srkit_teachers.metrics:CrossEntropy",
        "divergence": "srkit_teachers.metrics:Divergence",
        "cross_entropy_gap": "srkit_teachers.metrics:CrossEntropyGap",
        "dists": "srkit_teachers.similarity:DISTS",
        "embedding_similarity": "srkit_teachers.embedding:EmbeddingSimilarity",
        "lpips": "srkit_teachers.similarity:LPIPS",
        "map": "srkit_teachers.detection:MeanAveragePrecision",
        "miou": "srkit_teachers.segmentation_metrics:MeanIoU",
        "recall_at_k": "srkit_teachers.embedding:RecallAtK",
        "score_mse": "srkit_teachers.metrics:ScoreMSE",
    }
