"""How much better a step or a token was than expected: pure functions of rewards, without tensors or models.

A group is the solutions of one question. `rewards[i][k]` is the reward of step k of solution i; `None` is a reward that is not
known, which is no bad one: it takes part in no statistic, and nothing is learnt from it.
"""
