"""Every size at which the library does something in another way, with the reason.

None of them changes a value beyond rounding: they trade compile time, memory and speed. They are
read where they are used (`_thresholds.NAME`), so a test may lower them to send small leaves along
the ways of large ones. Shares are of all entries of params.
"""

# A leaf of which more than this share would be perturbed at a time is perturbed in blocks, so its
# perturbed copies for a pair of points add a few percent to the memory of the weights; small models
# are not worth cutting.
BLOCK_SHARE = 1 / 128
LEAST_BLOCK = 1 << 16


def block_entries(size: int) -> int:
    """Entries of a leaf that may be perturbed at a time, of params with `size` in all."""
    return max(int(BLOCK_SHARE * size), LEAST_BLOCK)


# Blocks of the last axis are parts of rows, read with gaps, so they wait for leaves twice as large.
# Their lengths are multiples of what a tile of a matrix unit holds, short ones of half of it.
ROW_BLOCK_FACTOR = 2
TILE = 128

# A contraction reads and writes its result once a block of an axis that is summed over, so that
# waits for leaves so many times larger. Anisotropic noise is held whole up to the same size.
SUMMED_BLOCK_FACTOR = 4
MOST_BLOCKS = 64

# Multiplications that take as long as to write and read an entry of a weight (two CPU cores).
MULTIPLICATIONS_AN_ENTRY = 8
# Up to this rank a product of factors is written as a sum of multiplications, which fuses with what
# is done to the result; above, as a matrix product, whose result is a buffer.
FUSED_RANK = 8
# Up to this one the update of a large leaf is, on a CPU: the sum takes about as long as the product
# and reading its buffer again. At twice the rank it takes two to three times as long.
WRITTEN_OUT_RANK = 16
# And up to this one signs that noise is multiplied with, everywhere: beside the draw of the noise
# the multiplications are few.
SIGNS_RANK = 32

# Leaves that are drawn together, beforehand: the smallest ones, up to this share. Biases, scales
# and stacks of them hold about as much of a transformer.
SMALL_LEAVES_SHARE = 1 / 256
LEAST_SMALL_LEAVES = 1 << 14
# As many random words as this share of all entries are drawn at a time for the updates of leaves of
# one shape: less than a step needs for its evaluations.
EQUAL_SHAPES_SHARE = 1 / 32
# Leaves that are never active together share a draw from this number on. What is shared is kept
# from the first leaf to the last: an eighth of their size at the most.
LEAST_EXCLUSIVE_LEAVES = 8

# To read a number of so few, a device may be sent them: losses and coefficients lie everywhere.
SENT_ENTRIES = 1 << 12

# Larger arrays are drawn by themselves: cutting them out of a common buffer would copy them.
DRAWN_ALONE = 1 << 16
# The entries of an axis that is no longer are read side by side where they are used (the factors of
# a low rank, for every token), and that loop is only vectorized if the compiler knows their place.
NARROW_ROW = 8

# A sum over queries that is written out fuses with the one thing that is done to it, and needs no
# buffer of the leaf's size; but it takes longer to compile, which pays for stacks of layers and the
# like.
WRITTEN_OUT_QUERIES = 12
# Up to so many random bits an entry, of all terms together, are kept in a buffer and taken apart
# where they are read; more would be a buffer of the leaf's size. Of the normal laws that of 8 bits
# takes few operations apart from those of the cipher.
HELD_BITS = 12
# Bytes of them, of all leaves together, per entry of params, that accelerators keep for an update.
# A step has more than that free then, where its forwards held activations.
HELD_SHARE = 1 / 8
LARGE_LEAF = 1 << 22

# Entries of noise that are drawn at a time: for the norm of a direction, and for sums over deflated
# directions (unless one layer of a stack has more).
NORM_BLOCK = 1 << 20
DEFLATED_BLOCK = 1 << 16

# Random bits an entry, of all directions of other groups of devices, from which on a reduction of
# the size of params is cheaper than drawing them. A number of b bits takes b / 64 of a call, which
# is about 100 operations, and 20 to take it apart: 30 with 8 bits, 100 with 32. An all-reduce moves
# 8 bytes for each entry. On accelerators an operation costs about a hundredth of moving a byte
# between them, on hosts less.
REDUCED_BITS = 200
