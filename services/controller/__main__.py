"""`python -m services.controller`."""

from services.controller.main import main

if __name__ == "__main__":
    main()
