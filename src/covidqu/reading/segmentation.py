"""Masks as a DICOM segmentation that refers to the radiograph: same study, patient, rows and columns."""

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from covidqu.reading.bundle import NOTICE
from covidqu.reading.reading import Reading, versions

SEGMENTS = {  # label, category and type of each mask
    "lung": ("Lungs", codes.SCT.AnatomicalStructure, codes.SCT.Lung),
    "infection": ("Infection", codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Lesion),
}


def segmentation(found: Reading) -> Dataset:
    """A binary segment per mask. What its header holds of the patient is copied from the radiograph.

    Its UIDs follow from those of the radiograph, its pixels and the model: the same reading has the same.
    """
    source, release = found.picture.dicom, versions()["covidqu"]
    assert source is not None, "only of DICOM input"
    seed = [found.picture.sha256, found.model["sha256"], release]
    algorithm = AlgorithmIdentificationSequence(
        name=f"covidqu {found.model['name']}", family=codes.DCM.ArtificialIntelligence, version=release
    )
    descriptions = []
    for number, task in enumerate(found.masks, start=1):
        label, category, kind = SEGMENTS[task]
        descriptions.append(
            SegmentDescription(
                segment_number=number,
                segment_label=label,
                segmented_property_category=category,
                segmented_property_type=kind,
                algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
                tracking_uid=generate_uid(entropy_srcs=[*seed, task]),
                tracking_id=f"{task} of {found.model['name']}",
            )
        )
    made = Segmentation(
        source_images=[source],
        pixel_array=np.stack(list(found.masks.values()), axis=-1)[None].astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=generate_uid(entropy_srcs=[*seed, "series"]),
        series_number=9000,
        sop_instance_uid=generate_uid(entropy_srcs=[*seed, "instance"]),
        instance_number=1,
        manufacturer="covidqu",
        manufacturer_model_name=found.model["name"],
        software_versions=release,
        device_serial_number=found.model["sha256"][:16],
        content_description=NOTICE,
        content_label="READING",
        omit_empty_frames=False,
    )
    made.SeriesDescription = NOTICE
    return made
