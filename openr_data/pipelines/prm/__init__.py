"""Process reward models and data sets together: training, scoring, evaluation, publishing."""
