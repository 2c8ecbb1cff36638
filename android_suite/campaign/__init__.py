"""qualify: from a plan to boots and jobs, resumable."""
