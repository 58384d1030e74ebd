"""The model behind the default sampler: which config is worth the next training, told from those that are done.

`axes` turns configs into points of a unit cube, `outcome` values into what a Gaussian process can learn from,
`gaussian` is that process, `prior` what the launched values tell, `memory` what cannot run, `history` reads a
study, and `proposal` searches the config. Only numpy and scipy; nothing here knows a parameter's name.
"""
