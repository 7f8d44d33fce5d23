"""Weights to and from PyTorch and Keras, files that others read, and a model as a PyTorch module.

- torch, keras: between our trees of parameters and the layers of the two
- safetensors: a SASRec in a file that PyTorch loads
- torch_module: a SASRec as a torch.nn.Module; needs torch
"""
