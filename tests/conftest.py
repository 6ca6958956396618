"""What every test needs before torch or matplotlib is imported; passed on to child processes."""

import os

# Small models gain nothing from a second thread, and waiting threads hold up everything else.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
