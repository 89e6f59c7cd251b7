"""A plate, its faceset and a model become finished frames with layers: `shot.run` (architecture, section
5).
"""
