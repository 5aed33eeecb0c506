"""Read a chest X-ray from Python: `uv run python docs/reading_from_python.py PICTURE [BUNDLE]`.

BUNDLE: a name or a folder that `covidqu export bundle` wrote; `reference` without it. Writes PICTURE-infection.png into
the current folder. Research software, not for diagnosis.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import covidqu

if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
picture = Path(sys.argv[1])
model = covidqu.load(*sys.argv[2:])  # loaded once: a second or so; then images at the speed of docs/reading.md

# What it is: see metadata.json and README.md of the bundle.
about = model.model.bundle.metadata
print(about.description, about.intended_use)

# A file (PNG, JPEG, TIFF, DICOM), or an array with bone bright: both give the same.
reading = model.read(picture)

# First of all: is there a reason not to trust it? With "no-chest" none of the numbers below is of use.
for warning in reading.warnings:
    print(f"{warning.code}: {warning.text}")

# Masks have the size of the picture. Shares are of lung pixels, by side of the image.
height, width = reading.picture.size
lung = reading.masks["lung"]
print(f"{height} x {width} pixels, {lung.mean():.0%} of them lung")
for side, share in reading.shares.items():
    print(f"infected by COVID-19, share of the lung, {side}: {'no lung' if share is None else f'{share:.1%}'}")

# Masks are bool; other pneumonia than COVID-19 is not marked.
Image.fromarray(reading.masks["infection"]).save(f"{picture.stem}-infection.png")

# Classes tell image collections apart as much as diseases: see Limits in the bundle's README.md.
for label, probability in reading.probabilities.items():
    print(f"{label}: {probability:.2f}")

# The logits of each seed, for other rules than "above 0": images as the graphs take them.
side = about.image_px
image = np.asarray(Image.open(picture).convert("L").resize((side, side), Image.Resampling.BOX))
for member, outputs in zip(about.members, model.model.outputs(image[None]), strict=True):
    print(f"seed {member.seed}: " + ", ".join(f"{name} {values[0].shape}" for name, values in outputs.items()))
