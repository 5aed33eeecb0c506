"""Table 2 of paper 004 (multi-task network with reconstruction): task combinations and single-task networks.

The paper's images are CT, ours are radiographs: COVID is COVID-19, non-COVID is Normal and Non-COVID together. Its Dice
is that of Keras, most likely: probabilities, not masks, pooled over batches of four, and only 30 of its 100 test images
have a mask. So the nearest number here is the soft Dice of batches of images with a mask; whether the paper's is that
cannot be known. Dice is in percent, all else are fractions, as printed.
"""

from covidqu.evaluate import protocols
from covidqu.evaluate.protocols import FALSE_INFECTION
from covidqu.evaluate.statistics import bootstrap_strata
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Missing, Status, Unit
from covidqu.report.core.measures import (
    FALSE_POSITIVES,
    HEADLINE,
    MARKED,
    NONE,
    Classes,
    Mask,
    Measure,
    Number,
    PerImage,
    scaled,
)
from covidqu.report.core.run_cells import across
from covidqu.report.core.runs import RECON as OURS
from covidqu.report.core.sources import Sources

EXPERIMENTS = {  # row of Table 2: run; the paper repeats its own system in each experiment
    "Exp1: T1 & T2": "recon-mtl-t12",
    "Exp1: T1 & T3": "recon-mtl-t13",
    "Exp1: T2 & T3": "recon-mtl-t23",
    "Exp1: T1 & T2 & T3 with 512 x 512": "recon-mtl-t123-512",
    "Exp1: Ours (T1&T2&T3 256 x 256)": OURS,
    "Exp2: Ours": OURS,
    "Exp2: U-NET 512 x 512": "recon-mtl-unet-512",
    "Exp2: U-NET 256 x 256": "recon-mtl-unet",
    "Exp3: Ours": OURS,
    "Exp3: CNN 8-layers": "recon-mtl-cnn8",
}
NO_MASK, NO_CLASS = ("recon-mtl-t13", "recon-mtl-cnn8"), ("recon-mtl-t12", "recon-mtl-unet", "recon-mtl-unet-512")
RECONSTRUCTS = ("recon-mtl-t12", "recon-mtl-t13", "recon-mtl-t123-512", OURS)
CLASS_METRICS = {"Acc": "accuracy", "Sens": "sensitivity", "Spec": "specificity", "AUC": "auc"}
SOFT = [{"kind": "dice", "weight": 1.0, "smooth": 1.0}]  # the training loss is 1 minus this Dice


def experiments(sources: Sources) -> list[Cell]:
    """Table 2: all ten rows; a run stands in every row that the paper repeats it in."""
    cells = []
    for row, run in EXPERIMENTS.items():
        measures: dict[str, Measure] = {}
        if run not in NO_MASK:
            measures |= {"Dice": SoftDice(run=run), "Dice, all images": SoftDice(run=run, infected=False)}
            for protocol, label in FALSE_INFECTION.items():
                for words, metric in (*((column, FALSE_POSITIVES[column]) for column in MARKED), ("mean area", "area")):
                    measures[f"{label}, {words}"] = Mask(run=run, metric=metric, correct=protocol)
        if run not in NO_CLASS:
            measures |= {column: Classes(run=run, metric=m, paper=True) for column, m in CLASS_METRICS.items()}
        if run in RECONSTRUCTS:
            measures["reconstruction MSE"] = PerImage(run=run, quantity="reconstruction_mse")
        cells += across(sources, row, measures)
    return cells


class SoftDice(Measure):
    """Soft Dice (smoothing 1) pooled in batches of the run's size in file order, percent.

    `infected`: of images with a mask, beside the mean Dice of these; else of all, in case the paper's 100 were meant.
    """

    infected: bool = True

    def number(self, sources: Sources) -> Number:
        """Of the test images."""
        scores, config = sources.scores(self.run), sources.params.evaluate.bootstrap
        if "infection_tp" not in scores:
            raise Missing(Status.NO_OUTPUT, f"run {self.run} has no infection mask")
        if self.infected:
            found = Mask(run=self.run, metric="dice", correct=HEADLINE, percent=True).number(sources)
            scores, images = protocols.select(HEADLINE, scores, "infection"), "images with infection"
        else:
            words = "half of the images have an empty mask, of which a batch of them scores about 0 unless it is blank"
            found, images = Number(NONE, "", len(scores), words, Unit.PERCENT), "all images"
        batch = sources.params.run(self.run).batch
        dice = 1.0 - protocols.batch_losses(scores, "infection", batch, SOFT)
        soft = bootstrap_strata(dice, protocols.infected_batches(scores, "infection", batch), config)
        how = f"soft, mean over batches of {batch}, {images}"
        return found._replace(paper=how, by_paper=scaled(soft))
