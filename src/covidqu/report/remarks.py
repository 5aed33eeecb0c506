"""What a reader of a table has to know: sentences printed below the Markdown table, by table name."""

from covidqu.report.systems import protocol_table

ONE_TRAINING = (
    "One training per run (see `seeds`): the interval is over test images, not over repetitions of the training."
)
SOURCES = (
    "Normal, Non-COVID and COVID-19 images come from different collections, and a class head can tell them by their "
    "source: no accuracy or AUC here is diagnostic performance."
)
THREE_SEEDS = (
    "A value with `seeds` above 1 is the mean over trainings with different seeds, and its note has the standard "
    "deviation and the range over them. An interval is over test images: of one training, or of a paired difference."
)
OTHER_DATA = (
    "The paper's values are of chest CT of other patients, these of chest radiographs: compare the direction of an "
    "effect, never the values."
)
AT_224 = (
    "Segmentation is counted at 224 x 224, as in the paper, for COVID-19 and Normal images: those that the network was "
    "taught. The correct infection number is the mean Dice of COVID-19 images."
)
CBAM_CLASSES = "The class head knows COVID-19 and Normal, 2 to 1 in the test set: always `infected` is right in 66.7 %."
SMOOTH = (
    "The paper's protocol, `img_smooth1`, adds 1 to numerator and denominator of each image's Dice; its overall "
    "numbers weight every image alike. The correct one, `img_covid`, is the mean over images with an annotated mask."
)
ORACLE = (
    "`unet-roi, annotated ROI` sees the annotated lung mask, which nobody has for a new patient; `cbam-mtl` was taught "
    "COVID-19 and Normal images only, so Non-COVID images are new to it."
)
RECALL = "Acc of a class is its recall: the paper prints the same column twice."

REMARKS = {
    "swin-dual/table-4": [SMOOTH, RECALL, SOURCES, ONE_TRAINING],
    "swin-dual/table-5": [
        SMOOTH,
        "Images without annotated infection have none to overlap with: their I.Dice is the smoothing seen through "
        "false-positive area, about 1 / (P + 1) for P false pixels, and a blank prediction counts as 1. "
        "`audit/000-false-infection` has what the printed values imply.",
        RECALL,
        SOURCES,
        ONE_TRAINING,
    ],
    "swin-dual/text": [
        SMOOTH,
        "Phases 1 and 2 are measured on different test images (`n`): a difference between them is not one of phases.",
        SOURCES,
        ONE_TRAINING,
    ],
    "unetpp-b3/table-2": [
        "The paper's protocol pools pixels within batches of eight in file order and counts empty = empty as 1, so "
        "that half of its batches only tell whether images without infection stay blank. The correct protocol pools "
        "all images; the headline is the mean over COVID-19 images.",
        ONE_TRAINING,
    ],
    "unetpp-b3/table-3": [
        "Non-COVID means not annotated for COVID-19 infection, not free of opacity.",
        ONE_TRAINING,
    ],
    "unet-roi/table-3": [ONE_TRAINING],
    "unet-roi/table-4": [
        "ROI ground-truth multiplies the image with the annotated lung mask, which nobody has for a new patient; "
        "a predicted ROI is what can be deployed. The paper does not say which one it used at test.",
        ONE_TRAINING,
    ],
    "cbam-mtl/table-2": [OTHER_DATA],
    "cbam-mtl/table-3": [AT_224, OTHER_DATA, THREE_SEEDS],
    "cbam-mtl/table-4": [CBAM_CLASSES, SOURCES, OTHER_DATA, THREE_SEEDS],
    "cbam-mtl/table-6": [AT_224, OTHER_DATA, THREE_SEEDS],
    "cbam-mtl/table-7": [CBAM_CLASSES, SOURCES, OTHER_DATA, THREE_SEEDS],
    "cbam-mtl/table-8": [AT_224, OTHER_DATA, THREE_SEEDS],
    "cbam-mtl/table-9": [CBAM_CLASSES, SOURCES, OTHER_DATA, THREE_SEEDS],
    "cbam-mtl/text": [
        "The paper's t-test takes the seven measures of one table for samples; images and trainings are samples.",
        SOURCES,
        OTHER_DATA,
        THREE_SEEDS,
    ],
    "recon-mtl/table-1": [OTHER_DATA],
    "recon-mtl/table-2": [
        "Dice is in percent. The paper says neither whether its Dice is of probabilities or of masks, nor over which "
        "images. Nearest to it: probabilities, smoothing 1, pooled in batches in file order, images with infection; "
        "the other column has all images. The correct one, `img_covid`, is of masks, image by image.",
        "T1 reconstruction, T2 infection, T3 COVID-19 (positive) against Normal and Non-COVID, 1 to 1.",
        SOURCES,
        OTHER_DATA,
        ONE_TRAINING,
    ],
    "recon-mtl/text": [SOURCES, OTHER_DATA, ONE_TRAINING],
    "common/leakage": [
        "The data hold no patient identifiers: overlap of patients between splits cannot be excluded.",
        "Of runs that are repeated with other seeds the first is shown.",
    ],
    "common/overview": [ONE_TRAINING, THREE_SEEDS, SOURCES],
    "common/protocols": [
        "\n".join(protocol_table.definitions()),
        "The gap 2 IoU / (1 + IoU) - Dice betrays the average: in one mask, and in pooled pixels, IoU gives Dice "
        "exactly and the gap is 0; means over images or batches leave a gap above 0, the larger the more they differ. "
        "`common/printed-gap` reads the papers' printed pairs by it.",
        "Of runs that are repeated with other seeds the first is shown.",
        ONE_TRAINING,
    ],
    "common/cross-system": [
        "Infection Dice is `img_covid`: the mean over COVID-19 images at 256 x 256. Beside it stand "
        "the shares of Normal images and of other pneumonia with a positive pixel, and with more than 1 % of the image "
        "positive (`fp_normal`, `fp_pneumonia`): read them together.",
        "COVID-19 against all other images: of three classes decided by the largest probability. The systems were "
        "trained with different losses, epochs and inputs: this compares runs, not designs.",
        SOURCES,
        ONE_TRAINING,
    ],
    "common/pairwise": [
        "First run minus second, all at 256 x 256 and over the same images: infection Dice (`img_covid`) by sign "
        "flips (10,000, of the mean difference, as the interval) and by Wilcoxon's signed-rank test, zero differences "
        "ranked (Pratt); false infection (images of one class with a positive pixel, or more than 1 % positive) and "
        "accuracy by McNemar's test, exact where fewer than 25 images are decided otherwise; AUC by DeLong's. "
        "Two-sided; Holm adjusts for all pairs asked the same by the same test. Intervals are bootstrap, but for AUC. "
        "Wilcoxon's test is of ranks: a few images with a large difference move the mean and not the ranks, so the two "
        "tests of Dice can disagree; the least p of sign flips is 0.0001, adjusted for 21 pairs 0.0021.",
        "COVID-19 or not: three-class and two-class heads are brought to the probability of COVID-19 against the rest, "
        "on images whose label both heads were taught; of three classes the largest probability decides.",
        "A small p value says that other test images of this kind would hardly turn the difference round. It "
        "says nothing about another training: one seed each, and runs that differ in loss, epochs and input.",
        ORACLE,
        SOURCES,
        ONE_TRAINING,
    ],
    "common/detection": [
        "An image is called infected when more than a share of it is positive. `sensitivity`: of COVID-19 images; "
        "`false rate`: of Normal ones, and of other pneumonia (Non-COVID). A network with the highest Dice can miss "
        "images that it leaves blank: read the sensitivity beside the false rates. Areas under ROC curves take the "
        "marked share for a score.",
        "The threshold chosen on Val has the highest sensitivity minus the mean of both false rates there; only runs "
        "with Val scores (`validate`) have one.",
        ORACLE,
        SOURCES,
        ONE_TRAINING,
    ],
    "common/rank-stability": [
        "Each resample draws test images anew, those that the audit found to be copies of one another together, and of "
        "each system one of the seeds that were trained. Shares of resamples are the probability of a rank; a system "
        "with one seed varies by its images alone, so its ranks look surer than they are. Bounds of the mean rank: the "
        "middle 95 % of the resamples.",
        "`unet-roi, annotated ROI` has no rank: it sees the annotated lung mask, which nobody has for a new patient.",
    ],
    "common/batch-order": [
        "`batch8_seq` pools pixels within batches of consecutive images. Orders are random within classes, so that a "
        "batch still holds one class, as in file order. File order is as good as any other; what it gives beyond the "
        "mean over orders is an accident of names. Bounds: the middle 95 % of the orders.",
        "Of runs that are repeated with other seeds the first is shown.",
        ONE_TRAINING,
    ],
    "common/severity": [
        "Infected pixels as percent of the annotated lung, in percentage points: predicted minus annotated. Limits of "
        "agreement are bias -+ 1.96 SD of the differences (Bland and Altman); concordance is Lin's. `own lungs`: the "
        "predicted share is of the predicted lung. Intervals of all are bootstrap over images.",
        "Over all images half of the annotated shares are 0: correlations there are partly those of telling the "
        "classes apart. Limits take differences for equally spread along the mean: `common/bland-altman` shows where "
        "they are not.",
        ORACLE,
        ONE_TRAINING,
    ],
    "common/calibration": [
        "ECE is of the decided class. It is a mean of absolute values, so chance alone makes it larger than 0: columns "
        "`of a calibrated head` have what chance gives (mean and range over simulated truths), and intervals of ECE "
        "are basic bootstrap ones, which take most of it out and may end below the value; near 0 they promise too "
        "much. An error inside the range of chance is no evidence of miscalibration. Brier score and log loss have no "
        "such bias; the Brier score of three classes is their sum (0 to 2), of two it is of one (0 to 1).",
        "Class heads are judged on images of the classes that they were taught (`n`). Expected area is the sum of a "
        "mask's probabilities: calibrated masks expect as much infection as is annotated.",
        "Calibration holds for test images of these sources in these shares, and for no others.",
        "Of runs that are repeated with other seeds the first is shown.",
        SOURCES,
        ONE_TRAINING,
    ],
    "common/subgroups": [
        "Groups hold equal numbers of COVID-19 images, by annotated infected area. Dice of small areas is lower for "
        "any predictor: the same outline error weighs more. Groups are compared over different images, not paired.",
        "A near-duplicate is an image that the audit found to be a copy of one of Train or Val; few images have "
        "one, so these rows exclude a large effect, not a small one.",
        ORACLE,
        ONE_TRAINING,
    ],
    "common/worst-cases": [
        "Chosen by score, from the low end: no average of anything. The annotated mask may itself be what is wrong: "
        "`reading` is the cause seen in the picture by eye, not by a radiologist (figure of the same name): "
        "annotation, device, projection or model. `run` names the headline run with the best Dice on the same image.",
        ONE_TRAINING,
    ],
    "common/boundary": [
        "HD95: the larger of the two directed 95th percentiles of distances between surfaces, in pixels of 256 x 256, "
        "over images with a prediction: a run that leaves difficult images blank has a lower one. NSD: share of both "
        "surfaces within 2 px of the other, 0 without a prediction, over all COVID-19 images. Read them together.",
        ORACLE,
        ONE_TRAINING,
    ],
    "common/ablations": [
        "The run with the part minus the run without it, over the same images of Val: infection Dice (`img_covid`), "
        "Wilcoxon's signed-rank test, zero differences ranked (Pratt), p not adjusted for the number of parts; false "
        "infection (`fp_normal`, `fp_pneumonia`) is the share of images of which more than 1 % is positive. A "
        "part helps where Dice rises and where this share falls.",
        "One training with one seed each: an interval is over images, not over trainings. `more than seeds do` is "
        "yes only where the interval leaves out zero and the difference exceeds what two trainings with other seeds "
        "differ by in 95 of 100 cases (t x SD over seeds x the square root of 2). Fewer than three seeds cannot tell: "
        "then no part that was trained anew is shown to do anything. Where a note says `the same weights`, no training "
        "stands between.",
        "Rows `chance of training` are no part: the same settings with another seed, as far apart as chance puts them.",
        "Val also chose the epoch of each run, which flatters its values; parts are chosen here, so that Test is not.",
        SOURCES,
    ],
    "common/printed-gap": [
        "2 IoU / (1 + IoU) is the Dice that an IoU has in one mask or in pooled pixels. Means over images or batches "
        "leave a gap above 0, so a gap tells a pooled pair from an averaged one, not which images were averaged: "
        "blank images that count 1, or 0, widen it. `common/protocols` has the gaps of our runs.",
        "A printed value stands for all values that round to it.",
    ],
    "common/references": [
        "Masks stand under each protocol of `common/protocols`, which says what each averages. Classes: the image's "
        "label map, COVID-19 against the others for the AUC; fitted anew for each map, as class heads are.",
        "Two annotations: both masks of each pair that the audit lists, identical pictures included. A pair may be "
        "shifted, cropped, or two radiographs of one patient, which lowers the overlap: annotations of one and the "
        "same picture agree at least so well.",
        SOURCES,
    ],
    "common/cost": [
        "FLOPs are those of convolutions, matrix products and attention; a multiply-add is two. As deployed: "
        "`flip_test` doubles them, and a run that sees predicted lungs pays for the network that predicts them; lungs "
        "annotated by hand cost nothing here. Inference is from 8-bit images to logits, in 32 bit.",
        "Training speed is that of forward pass, loss, backward pass and optimiser; loading and augmenting images, and "
        "validation, are not in it. Images seen over this speed are minutes of one device (on one thread: of that "
        "thread) that does nothing else. Minutes as it ran are from the cards, under whatever load there was. Both "
        "include the runs whose weights a run starts from; ImageNet weights cost nothing here.",
        ONE_TRAINING,
    ],
    "common/budget": [
        "Dice while training: the mean over Val images with infection, at the run's own side, one image at a time, "
        "without the mirror image. Test images are not in it. Costs include the runs whose weights a run starts from, "
        "minutes those of its training steps as in `common/cost`.",
        "Rates that fall along a cosine are still high in the middle of a run: a training that is planned to end "
        "there would be better. Runs of `deduplicated` leave out the Val images that duplicate a test image.",
    ],
    "common/param-counts": ["Equal counts do not prove equal networks: shifts, heads and wiring have no parameters."],
    "common/published-consistency": [
        "A printed value stands for all values that round to it. A verdict is on the printed numbers alone."
    ],
    "audit/000-mask-channel": [
        "The class head sees masks only. Soft: probabilities, as it was trained. Thresholded: the same masks, 0 or 1. "
        "Annotated: the annotated masks through the same head, never seen in training. A fall from soft to "
        "thresholded means that class information travels in the grey values of the masks, not in their shape.",
        "In phase 2 the annotated infection mask is empty unless the image is COVID-19: it gives the class away.",
        SOURCES,
        ONE_TRAINING,
    ],
    "audit/000-false-infection": [
        "The loss of paper 000 asks for infection in COVID-19 images only, so nothing restrains it elsewhere. "
        "`fp_normal` counts Normal images, `fp_pneumonia` Non-COVID ones, `img_covid` the COVID-19 images.",
        "Rows named gated are not the paper's: they hide infection where the predicted class is not COVID-19.",
        "Rows `printed I.Dice`: `published` holds what follows from the printed value, `measured_correct` the same "
        "quantity of this run. A printed value near 0 says that no mask was blank only if masks were thresholded: "
        "`I.Dice of soft masks` is as near to 0 for a run that leaves many of these images blank. The paper does not "
        "say which it was.",
        ONE_TRAINING,
    ],
    "audit/002-roi-source": [
        "The same weights and test images under both regions of interest; the difference is paired over images. "
        "`img_covid`: COVID-19 images; `fp_normal`, `fp_pneumonia`: the others.",
        ONE_TRAINING,
    ],
    "audit/004-skip-reconstruction": [
        "With skip connections the finest features reach the reconstruction past the bottleneck, which makes it "
        "nearly a copy: a low error then says little about what the encoder has learnt. Two trainings with one seed "
        "each: a difference includes the chance of training, which the interval does not. A run whose Dice is near 0 "
        "has collapsed: its difference of infection Dice tells of that, not of skip connections.",
        SOURCES,
        ONE_TRAINING,
    ],
}
