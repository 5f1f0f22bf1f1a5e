"""`python -m services.training`."""

from services.training.main import main

if __name__ == "__main__":
    main()
