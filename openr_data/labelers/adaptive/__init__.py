"""The adaptive labeler (AdaOmega): a posterior over the first error decides where the next rollout is drawn. Loads numpy."""

from openr_data.labelers.adaptive.adaptive import Adaptive, inference, read_model
from openr_data.labelers.adaptive.fit import fit
from openr_data.labelers.adaptive.model import ValueModel
from openr_data.labelers.adaptive.posterior import Inference, Posterior, Seen
from openr_data.labelers.adaptive.search import AdaptiveSearch, Finish

__all__ = [
    "Adaptive",
    "AdaptiveSearch",
    "Finish",
    "Inference",
    "Posterior",
    "Seen",
    "ValueModel",
    "fit",
    "inference",
    "read_model",
]
