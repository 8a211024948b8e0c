"""Is this solution's answer the reference answer? Right, wrong, or unknown with a reason; never an eval of model text."""

from openr_data.graders.extract import extract, states_answer
from openr_data.graders.grader import GRADERS, ExactGrader, MathGrader, OpenGrader
from openr_data.graders.policy import GradingPolicy
from openr_data.graders.selfcheck import grades_itself

__all__ = ["GRADERS", "ExactGrader", "GradingPolicy", "MathGrader", "OpenGrader", "extract", "grades_itself", "states_answer"]
