"""The loop: a policy writes solutions, they are labelled, a process reward model learns from the labels, the policy from that."""
