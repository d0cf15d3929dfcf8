"""Anyone's table as a Dataset, and the Preprocessing that takes new raw rows the same way."""

from sweep.datasets.loading import Preprocessing as Preprocessing
from sweep.datasets.loading import fingerprint as fingerprint
from sweep.datasets.loading import load as load
from sweep.datasets.loading import load_folds as load_folds
from sweep.datasets.loading import load_parts as load_parts
from sweep.datasets.loading import split as split
