"""`python -m services.oracle`."""

from services.oracle.main import main

if __name__ == "__main__":
    main()
