"""What the answers in dlseg/course/wrong use without importing it."""

IMPORTS = "import numpy as np\nimport scipy.ndimage\nimport torch\n"
