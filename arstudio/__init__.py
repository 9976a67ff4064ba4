"""AR Studio: train autoregressive image models, watch them draw, complete pictures, read every conditional.

`import arstudio` loads neither torch nor Qt; take what you need from the rooms below it
(`arstudio.models`, `arstudio.data`, `arstudio.training`, `arstudio.sampling`, `arstudio.analysis`).
"""

__version__ = "0.1.0"
