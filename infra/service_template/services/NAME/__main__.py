"""Run the service alone: `python -m services.NAME`."""

from services.NAME.main import main

if __name__ == "__main__":
    main()
