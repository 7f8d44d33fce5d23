"""`python -m attention_from_scratch` is the command `attention-from-scratch`."""

import sys

from attention_from_scratch.cli import main

sys.exit(main())
