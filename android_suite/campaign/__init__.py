"""qualify: turns a plan into boots and jobs, and runs them; resumable."""
