"""Embeddings as teachers, and metrics that compare them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.neighbors import NearestNeighbors
from srkit_teachers.embedders.timm_embedding import TimmEmbedding, embeds_by_its_head
from srkit_teachers.embedding import EmbeddingCosine, EmbeddingSimilarity, RecallAtK
from torch import Tensor

from srkit.data.truth import task_of
from srkit.errors import WeightsError
from srkit.functional.resizing import resize
from srkit.interfaces import Answer, Batch, Teacher

GENERATOR = torch.Generator().manual_seed(2)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))


def test_the_embedding_is_the_input_of_the_classifier_head(images: Tensor, tmp_path: Path) -> None:
    network = timm.create_model("test_vit").eval()
    save_file(network.state_dict(), tmp_path / "vit.safetensors")
    teacher = TimmEmbedding(model="test_vit", weights=tmp_path / "vit.safetensors").eval()
    assert isinstance(teacher, Teacher)
    assert task_of(teacher) == "embedding"
    assert teacher.input_size == 160
    mean, std = (torch.tensor(network.pretrained_cfg[k])[:, None, None] for k in ("mean", "std"))
    with torch.no_grad():
        inputs = (resize(images, size=(160, 160)) - mean) / std
        expected = network.forward_head(network.forward_features(inputs), pre_logits=True)
        answer = teacher(images, teacher.stages[-1:])
        assert torch.allclose(answer.logits, expected, atol=1e-4)
        assert torch.allclose(teacher(images).logits, expected, atol=1e-4)
    assert list(answer.features) == [teacher.stages[-1]]


def test_another_size_interpolates_the_positions(images: Tensor) -> None:
    patch = timm.create_model("test_vit").patch_embed.patch_size[0]
    teacher = TimmEmbedding(model="test_vit", weights="random", input_size=4 * patch).eval()
    with torch.no_grad():
        assert teacher(images).logits.shape == (2, 64)
    expected = f"^input_size is {4 * patch + 1}; 'test_vit' accepts multiples of {patch}$"
    with pytest.raises(ValueError, match=expected):
        TimmEmbedding(model="test_vit", weights="random", input_size=4 * patch + 1)


def test_clip_keeps_its_projection_and_dinov2_has_none() -> None:
    with torch.device("meta"):
        clip = timm.create_model("vit_base_patch16_clip_224.openai")
        tuned = timm.create_model("vit_base_patch16_clip_224.openai_ft_in1k")
    assert clip.num_classes == 512
    assert embeds_by_its_head("vit_base_patch16_clip_224.openai", clip)
    assert not embeds_by_its_head("vit_base_patch16_clip_224.openai_ft_in1k", tuned)
    assert timm.get_pretrained_cfg("vit_small_patch14_dinov2.lvd142m").num_classes == 0


def test_missing_weights(tmp_path: Path) -> None:
    gone = tmp_path / "gone.safetensors"
    with pytest.raises(WeightsError, match=f"^{gone}: no such weight file or run folder"):
        TimmEmbedding(model="test_vit", weights=gone)
    with pytest.raises(ValueError, match=r"^timm has no network 'dinov9'; "):
        TimmEmbedding(model="dinov9", weights="random")
    assert TimmEmbedding.downloads(model="test_vit", weights="random") == []


def batch(count: int) -> Batch:
    return Batch(list(map(str, range(count))), torch.zeros(count, 3, 2, 2), range(count))


def test_the_cosine_by_hand() -> None:
    sr, hr = (torch.randn(5, 7, generator=GENERATOR) for _ in range(2))
    a, b = sr.double().numpy(), hr.double().numpy()
    expected = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    found = EmbeddingSimilarity()(Answer(sr), Answer(hr), batch(5))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    loss = EmbeddingCosine()(Answer(sr), Answer(hr), batch(5))
    assert float(loss) == pytest.approx(1 - expected.mean(), rel=1e-5)


@pytest.mark.parametrize("k", [1, 3])
def test_recall_equals_scikit_learn(k: int) -> None:
    hr = torch.randn(40, 8, generator=GENERATOR)
    sr = hr + 1.2 * torch.randn(40, 8, generator=GENERATOR)
    index = NearestNeighbors(n_neighbors=k, metric="cosine").fit(hr.numpy())
    nearest = index.kneighbors(sr.numpy(), return_distance=False)
    expected = [float(i in row) for i, row in enumerate(nearest)]
    metric = RecallAtK(k=k)
    parts = [
        part
        for some in (slice(0, 25), slice(25, 40))
        for part in metric(Answer(sr[some]), Answer(hr[some]), batch(len(sr[some])))
    ]
    values, whole = metric.pool(parts)
    assert values == expected
    assert whole == pytest.approx(np.mean(expected))
    assert 0.2 < whole < 1


def test_equal_originals_are_ties() -> None:
    same = torch.ones(3, 4)
    metric = RecallAtK()
    values, whole = metric.pool(metric(Answer(same), Answer(same), batch(3)))
    assert values == pytest.approx([1 / 3] * 3)
    assert whole == pytest.approx(1 / 3)
    rounded = same * torch.tensor([[1.0], [1.0 + 1e-7], [1.0]]) + 1e-8
    assert metric.pool(metric(Answer(same), Answer(rounded), batch(3)))[1] == pytest.approx(1 / 3)
    assert RecallAtK(k=3).pool(metric(Answer(same), Answer(same), batch(3)))[1] == 1
