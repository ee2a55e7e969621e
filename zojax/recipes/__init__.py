"""How directions are made again: a recipe for each leaf, and what is done with them."""

from zojax.recipes._block import Block as Block
from zojax.recipes._combine import combine as combine
from zojax.recipes._combine import combine_squares as combine_squares
from zojax.recipes._combine import materialize as materialize
from zojax.recipes._combine import sum_draws as sum_draws
from zojax.recipes._deflated import Deflated as Deflated
from zojax.recipes._deflated import contracted as contracted
from zojax.recipes._deflated_sums import sum_deflated as sum_deflated
from zojax.recipes._dense import Dense as Dense
from zojax.recipes._dense import dense_recipes as dense_recipes
from zojax.recipes._exclusive_blocks import combine_exclusive_blocks as combine_exclusive_blocks
from zojax.recipes._exclusive_blocks import draw_exclusive_blocks_once as draw_exclusive_blocks_once
from zojax.recipes._low_rank import LowRank as LowRank
from zojax.recipes._masked import Masked as Masked
from zojax.recipes._masked import masked as masked
from zojax.recipes._matrix_view import MatrixView as MatrixView
from zojax.recipes._precomputed import Precomputed as Precomputed
from zojax.recipes._preconditioned import Preconditioned as Preconditioned
from zojax.recipes._recipe import Directions as Directions
from zojax.recipes._recipe import OneByOne as OneByOne
from zojax.recipes._recipe import Recipe as Recipe
from zojax.recipes._slicing import split as split
from zojax.recipes._small_leaves import draw_small_leaves as draw_small_leaves
from zojax.recipes._sum import Sum as Sum
