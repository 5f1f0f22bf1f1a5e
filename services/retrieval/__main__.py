"""`python -m services.retrieval`."""

from services.retrieval.main import main

if __name__ == "__main__":
    main()
