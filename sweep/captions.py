"""What each figure of a study shows and how to read it: for notebooks and reports."""

from typing import NamedTuple


class Caption(NamedTuple):
    title: str
    text: str
    """True of any study, whatever its numbers are."""


CAPTIONS = {
    "history": Caption(
        "Values in order",
        "Each mark is a trial, in the order in which trials began, and the line is the best "
        "complete one so far. Where the line has long been flat, more trials of the same search "
        "bring little.",
    ),
    "curves": Caption(
        "Learning curves",
        "The validation metric after each epoch; of many trials, quantiles and a sample. Curves "
        "that still rise or fall at their end were cut short, by the pruner or by the number of "
        "epochs; curves that turn back overfit.",
    ),
    "rungs": Caption(
        "Who survived where",
        "How many trials were trained up to each rung, and what became of them there. The share "
        "above a bar went on. Many at the first rung and few at the last is what a pruner is "
        "for.",
    ),
    "importances": Caption(
        "What mattered",
        "The share of each parameter in what makes the best trials differ from the others, "
        "together 100 %. The shares of a study in which nothing mattered add up to 100 % as "
        "well: see whether the values differ by more than noise, and whether the next figure "
        "shows the same.",
    ),
    "slice": Caption(
        "Values over each parameter",
        "Each mark is a trial. A parameter matters where the marks rise or fall along its axis; "
        "if the best lie at one of its ends, better ones may lie beyond.",
    ),
    "parallel": Caption(
        "Trials as lines through their parameters",
        "Each complete trial is a line, the best on top and darkest. Where the dark lines run "
        "together, the good trials agree; where they are spread, that parameter is free.",
    ),
    "contour": Caption(
        "Pairs of parameters",
        "The best value over each two of the parameters that matter most, guessed between the "
        "trials. A ridge that runs diagonally says that the two have to be chosen together.",
    ),
    "pareto": Caption(
        "What can be had together",
        "Each mark is a complete trial, by two objectives. Those of the front are not beaten in "
        "both at once by any other: which of them is best depends on what the objectives are "
        "worth.",
    ),
    "ledger": Caption(
        "Where the time went",
        "The seconds of all trials by what they were spent on, and the share of the CPUs' time "
        "in which trials trained. What is not training is what the sweep itself cost.",
    ),
    "timeline": Caption(
        "Who worked when",
        "A row for each worker and a bar for each segment. Gaps are times in which a worker "
        "waited.",
    ),
}
"""By the name of the figure in `sweep.plots.PLOTS`, in the order in which they are best read."""
