"""The long work of the service, by what it makes: benchmarks, answers, failures.

Each operation may be run again from its beginning at any time: answers are kept by what they depend on, and what is written
is the same set of bytes, hence the same URI.
"""
