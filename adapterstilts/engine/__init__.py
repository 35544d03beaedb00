"""The fast forward and backward of adapters over a frozen backbone.

A frozen backbone needs no gradient of its weights and sees each of them only as a constant. From that follows all that
this package does differently from the library, whose modules stay the reference and keep the parameters:

- `linear`: a frozen matrix is laid out once, for the product and for the gradient of its input; it has no other.
- `packing`: a batch is the row of its real tokens, ``(tokens, hidden)``. Padding exists only inside attention.
- `attention`: of the packed tokens; in a last layer that is read at the first token, of the first tokens only.
- `adapters`: bottleneck adapters and AdapterFusion on packed tokens, over the library's own parameters. A fusion never
  holds the outputs of its adapters: keys, queries and values are multiplied into the up-projections first.
- `encoder`: the layers, from any layer to any layer.
- `prefix`: the states below the lowest adapter, computed in one layout, given in place of the layers.
- `kept`, `lower`: these states on disk, and those of all data that a stage reads.
- `coverage`: what the engine does not do, and says so; such a stage takes the library's path.
- `assembly`: what stages use in place of the library's assembly.
"""
