"""What `index.parquet` must look like. Import it where it is used: pandera takes a second to load."""

import pandera.pandas as pa

from covidqu.config.data import CLASSES, PX, SPLITS, SUBSETS

_SHA256 = pa.Check.str_matches("^[0-9a-f]{64}$")
_AREA = pa.Check.in_range(0, PX * PX)

INDEX_SCHEMA = pa.DataFrameSchema(
    {
        "id": pa.Column(str, unique=True),
        "subset": pa.Column(str, pa.Check.isin(SUBSETS)),
        "split": pa.Column(str, pa.Check.isin(SPLITS)),
        "label": pa.Column(str, pa.Check.isin(CLASSES)),
        "name": pa.Column(str, pa.Check.str_length(min_value=1)),
        "image_sha256": pa.Column(str, _SHA256),
        "masks_sha256": pa.Column(str, _SHA256),
        "phash": pa.Column(str, pa.Check.str_matches("^[0-9a-f]{16}$")),
        "lung_px": pa.Column("int32", _AREA),
        "infection_px": pa.Column("int32", _AREA),
    },
    checks=[
        pa.Check(lambda t: t["id"] == t["subset"] + "/" + t["split"] + "/" + t["label"] + "/" + t["name"], name="id"),
        pa.Check(
            lambda t: ((t["subset"] == "infection") & (t["label"] == "COVID-19")) | (t["infection_px"] == 0),
            name="infection only in COVID-19 images of the infection subset",
        ),
        pa.Check(lambda t: t["subset"].map(SUBSETS.index).is_monotonic_increasing, name="infection rows first"),
    ],
    strict=True,
    ordered=True,
)
