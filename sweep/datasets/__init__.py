"""Anyone's table as a Dataset, and the Preprocessing that takes new raw rows the same way."""

from sweep.datasets.loading import Loaded as Loaded
from sweep.datasets.loading import fingerprint as fingerprint
from sweep.datasets.loading import load as load
from sweep.datasets.loading import load_folds as load_folds
from sweep.datasets.loading import load_parts as load_parts
from sweep.datasets.loading import load_study as load_study
from sweep.datasets.preprocessing import Preprocessing as Preprocessing
from sweep.datasets.splits import split as split
from sweep.datasets.values import Odd as Odd
