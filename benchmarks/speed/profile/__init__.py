"""Where the time of a step goes; nobody contends, the parts are in `parts`."""
