"""What two or more services need. Knows nothing of any one service.

A forked child that uses gRPC hangs, so fork support is switched off before gRPC is first imported;
children are started as new programs.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
