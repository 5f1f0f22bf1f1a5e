"""What two or more services need. Knows nothing of any one service.

The generated protobuf code lies in `shared/gen`, whose folders are the packages (`medq.retrieval.v1`), so that folder is put on
the import path here, in the one place through which every process enters.
"""

import sys
from pathlib import Path

_GENERATED = str(Path(__file__).parent / "gen")
if _GENERATED not in sys.path:
    sys.path.append(_GENERATED)
