"""Backbones that the library transformers builds, from folders and files on this machine.

Start reading at `_architectures`, which is data; `_backbone` is the loader. The library is imported when a model is
loaded, is only ever given folders, and so has nothing to look up on another machine.
"""

from covey.backbones._transformers._architectures import ARCHITECTURES, Architecture
from covey.backbones._transformers._folder import read_spec
from covey.backbones._transformers._transformers_backbone import load_transformers

__all__ = ["ARCHITECTURES", "Architecture", "load_transformers", "read_spec"]
