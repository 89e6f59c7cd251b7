"""Models to and from other programs.

| module | file | its picture |
|---|---|---|
| `onnx` | ONNX | RGB in swap space, (N, 3, S, S) |
| `dfm` | DeepFaceLive's DFM | BGR as DeepFaceLive shows it, (N, S, S, 3) |
| `torchscript` | TorchScript for Nuke's Inference | scene-linear RGB, (1, 3, S, S) |
| `weights` | safetensors with a model card | (the numbers alone) |
| `saehd` | DeepFaceLab's saved SAEHD and Quick96 | (comes in) |

Every file says whose likeness it holds: the model card (`card`) is in it or beside it, and `inside` reads it there. No
file gets its name before it has answered as the model does. `settings` has what is asked for, `job` does it.
"""
