"""`python -m dlseg …` is `dlseg …`."""

from dlseg.cli import main

if __name__ == "__main__":
    main()
