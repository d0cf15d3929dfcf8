"""`python -m sweep.cli`, for where the console script is not on the path."""

from sweep.cli import main

main()
