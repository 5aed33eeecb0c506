"""MSE, PSNR and SSIM against other libraries and against cases worked out by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import mean_squared_error
from torchmetrics.functional.image import structural_similarity_index_measure
from torchmetrics.image import PeakSignalNoiseRatio

from covidqu.evaluate.quality import mse, psnr, psnr_img, psnr_pooled, ssim

RNG = np.random.default_rng(0)
MASKS = np.stack([gaussian_filter(RNG.standard_normal((64, 48)), 5) > 0.03 for _ in range(5)])
SOFT = np.clip(gaussian_filter(MASKS.astype(float), (0, 2, 2)) + RNG.normal(0, 0.05, MASKS.shape), 0, 1)


def test_mse_against_scikit_learn() -> None:
    wanted = [mean_squared_error(m.ravel(), s.ravel()) for m, s in zip(MASKS, SOFT, strict=True)]
    np.testing.assert_allclose(mse(SOFT, MASKS), wanted, rtol=1e-12)
    np.testing.assert_allclose(mse(MASKS, SOFT), wanted, rtol=1e-12)


def test_mse_of_a_hard_mask_is_one_minus_accuracy() -> None:
    hard = SOFT > 0.5
    np.testing.assert_allclose(mse(hard, MASKS), 1 - (hard == MASKS).mean(axis=(1, 2)), rtol=1e-12)
    assert 0 < mse(hard, MASKS).max() < 0.2


def test_psnr_against_scikit_image_and_torchmetrics() -> None:
    errors = mse(SOFT, MASKS)
    wanted = [peak_signal_noise_ratio(m.astype(float), s, data_range=1) for m, s in zip(MASKS, SOFT, strict=True)]
    np.testing.assert_allclose(psnr(errors), wanted, rtol=1e-12)
    assert psnr_img(errors) == (pytest.approx(np.mean(wanted)), 0)
    pooled = PeakSignalNoiseRatio(data_range=1.0)(torch.from_numpy(SOFT), torch.from_numpy(MASKS.astype(float)))
    assert psnr_pooled(errors) == pytest.approx(pooled.item(), rel=1e-6)


def test_psnr_of_known_errors() -> None:
    assert psnr(np.array([1, 0.1, 0.01, 0])).tolist() == pytest.approx([0, 10, 20, math.inf])
    assert psnr_pooled(np.array([0.0, 0.02])) == pytest.approx(20)
    assert psnr_img(np.array([0.0, 0.1, 0.001, 0.0])) == (pytest.approx(20), 2)  # not infinite, not capped
    assert psnr_pooled(np.zeros(3)) == math.inf
    none, perfect = psnr_img(np.zeros(3))
    assert (math.isnan(none), perfect) == (True, 3)
    assert math.isnan(psnr_pooled(np.array([])))


def test_ssim_against_torchmetrics() -> None:
    """Which pads the images and averages the border as well: without it the two agree, with it they do not."""
    made, truth = (torch.from_numpy(np.asarray(x, np.float64))[:, None] for x in (SOFT, MASKS))
    whole, local = structural_similarity_index_measure(
        made, truth, sigma=1.5, data_range=1.0, reduction="none", return_full_image=True
    )
    np.testing.assert_allclose(ssim(SOFT, MASKS), local[:, 0, 5:-5, 5:-5].mean(dim=(1, 2)), rtol=1e-6)
    assert np.abs(ssim(SOFT, MASKS) - whole.numpy()).max() > 0.01


def test_ssim_by_its_formula() -> None:
    """Wang et al., equation 13, with weights of scipy; the default window of scikit-image gives other numbers."""
    blur = {"sigma": 1.5, "truncate": 3.5}
    for a, b, found in zip(SOFT, MASKS.astype(float), ssim(SOFT, MASKS), strict=True):
        mean_a, mean_b = gaussian_filter(a, **blur), gaussian_filter(b, **blur)
        var_a, var_b = gaussian_filter(a * a, **blur) - mean_a**2, gaussian_filter(b * b, **blur) - mean_b**2
        both = gaussian_filter(a * b, **blur) - mean_a * mean_b
        share = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
        local = share * (2 * both + 9e-4) / (var_a + var_b + 9e-4)
        assert found == pytest.approx(local[5:-5, 5:-5].mean(), rel=1e-9)
        assert found != pytest.approx(structural_similarity(a, b, data_range=1), rel=1e-3)


def test_ssim_of_constant_images() -> None:
    flat = np.ones((4, 32, 32)) * np.array([0, 0.2, 0.5, 1])[:, None, None]
    np.testing.assert_allclose(ssim(flat, flat), 1)
    wanted = [(2 * x * 0.5 + 1e-4) / (x**2 + 0.25 + 1e-4) for x in (0, 0.2, 0.5, 1)]
    np.testing.assert_allclose(ssim(flat, np.full_like(flat, 0.5)), wanted, rtol=1e-6)


def test_shapes_must_agree() -> None:
    for measure in (mse, ssim):
        with pytest.raises(ValueError, match="both must be"):
            measure(SOFT, MASKS[:, :32])
        with pytest.raises(ValueError, match="both must be"):
            measure(SOFT[0], MASKS[0])
