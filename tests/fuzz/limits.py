"""What the judge allows: each bound with its reason."""

from __future__ import annotations

MIB = 1024 * 1024

#: A call. A caller's own deadline is of this order; `WaitOperation` waits as long at most, and is asked for less here.
MOST_CALL_SECONDS = 20.0
#: `WaitOperation` and the watch of health wait by nature: they are left after so long, which is no fault of theirs.
WAIT_SECONDS = 0.5
#: A file of some kilobytes. Decoding takes milliseconds; a bomb must be refused before it has cost more.
MOST_FILE_SECONDS = 10.0
#: What one file may add to a process, at its peak. An image of `MOST_PIXELS` as float64 takes half of it, and there is a copy.
MOST_FILE_BYTES = 1024 * MIB
#: What many files may leave behind in a process that lives on: caches and torn-up heaps, no pictures.
MOST_FILE_GROWTH_BYTES = 256 * MIB
#: The services between the end of the warm-up and the end: less than 16 KiB of each of 20,000 requests stays.
MOST_GROWTH_BYTES = 300 * MIB
#: The services at their peak while they answer: the libraries of models take 700 MiB, a small request no gigabyte.
MOST_PEAK_BYTES = 2560 * MIB
#: Threads come with load, up to the sizes of the pools: six of calls, of operations, of health.
MOST_MORE_THREADS = 96
#: Files and sockets likewise: connections of database pools, channels, the index.
MOST_MORE_DESCRIPTORS = 96
#: An operation over a world of ten images; after it the judge calls operations off, and they have as long again to end.
SETTLE_SECONDS = 60.0
#: Address space of a process under fire. Only the last stop before the machine suffers; the bounds above are the verdict.
MOST_ADDRESS_SPACE = 16 * 1024 * MIB
#: Stands in files that nobody may be shown: neither answers, failures and logs nor stored objects may hold it.
MARKER = "kept-from-everybody-7c1f"
