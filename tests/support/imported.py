"""Imported last by the process that others are forked from: what is in memory now is never looked at by their collectors.

Otherwise each child's first full collection copies half a gigabyte of pages.
"""

import gc

gc.freeze()
