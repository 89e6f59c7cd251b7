"""`python -m understudy.client.cli`, where the script `understudy` is not on PATH."""

from understudy.client.cli import main

main()
