"""How near one image is to another: two stacks of images with intensities 0..1 in, one number per image out.

For probabilities against masks (paper 003) and reconstructions against radiographs (paper 004). A blank pair has
MSE 0, SSIM 1 and an infinite PSNR, so that images without infection raise every mean: state which images are averaged.
"""

import math

import numpy as np
from skimage.metrics import structural_similarity

PEAK = 1.0  # largest intensity
SIGMA = 1.5  # pixels, of the Gaussian window of 11 x 11


def mse(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, H, W) twice -> (n,) float64: mean squared error over the pixels of each image."""
    a, b = _stacked(a, b)
    return np.square(a - b).mean(axis=(1, 2))


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, H, W) twice, sides of 11 or more -> (n,) float64: mean structural similarity of each pair, data range 1.

    Wang et al. 2004 (10.1109/TIP.2003.819861): Gaussian weights, population covariance, the 5 outermost pixels left
    out of the mean. scikit-image's own default, a uniform 7 x 7 window, gives other numbers.
    """
    settings = {"gaussian_weights": True, "sigma": SIGMA, "use_sample_covariance": False, "data_range": PEAK}
    return np.array([structural_similarity(x, y, **settings) for x, y in zip(*_stacked(a, b), strict=True)], float)


def psnr(errors: np.ndarray) -> np.ndarray:
    """MSE of any shape -> 10 log10(1 / MSE) in dB; infinite where MSE = 0."""
    with np.errstate(divide="ignore"):
        return -10 * np.log10(np.asarray(errors, np.float64) / PEAK**2)


def psnr_pooled(errors: np.ndarray) -> float:
    """(n,) MSE per image -> PSNR (dB) of their mean: every image counts, perfect ones too; nan for n = 0."""
    return float(psnr(np.mean(errors))) if len(errors) else math.nan


def psnr_img(errors: np.ndarray) -> tuple[float, int]:
    """(n,) MSE per image -> (mean PSNR in dB over images with MSE > 0, number of images left out).

    Perfect images have no finite PSNR, and a cap in its place would rule the mean. nan when all are left out.
    """
    errors = np.asarray(errors, np.float64)
    kept = errors[errors > 0]
    return (float(psnr(kept).mean()) if len(kept) else math.nan), len(errors) - len(kept)


def _stacked(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"images {a.shape} and {b.shape}: both must be (n, height, width); resize one of them")
    return np.asarray(a, np.float64), np.asarray(b, np.float64)
