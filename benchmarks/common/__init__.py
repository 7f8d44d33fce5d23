"""What several benchmarks share.

options     what is said at the shell
folders     where results go
resuming    runs whose result is there are not repeated
machine     what a number was measured with: versions, cores, load, clocks
numbers     what is said of many numbers, and slopes
writing     JSON, Markdown, settings in words
drawing     the looks of lines, axes and bars
"""
