"""An LSTM alone, forward and backward."""
