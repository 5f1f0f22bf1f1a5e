"""`python -m services.evaluation`."""

from services.evaluation.main import main

if __name__ == "__main__":
    main()
