"""See `app.stack.main`."""

import sys

from app.stack.main import main

sys.exit(main())
