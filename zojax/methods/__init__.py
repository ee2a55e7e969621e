"""Published methods, each an assembly of a sampler, an estimator and optax links."""

from zojax.methods._agzo import agzo as agzo
from zojax.methods._ar1_zo import ar1_zo as ar1_zo
from zojax.methods._conmezo import conmezo as conmezo
from zojax.methods._dizo import dizo as dizo
from zojax.methods._eggroll import eggroll as eggroll
from zojax.methods._fzoo import fzoo as fzoo
from zojax.methods._grzo import grzo as grzo
from zojax.methods._hizoo import hizoo as hizoo
from zojax.methods._kerzoo import kerzoo as kerzoo
from zojax.methods._loren import loren as loren
from zojax.methods._lozo import lozo as lozo
from zojax.methods._meazo import meazo as meazo
from zojax.methods._mezo import mezo as mezo
from zojax.methods._mezo_adam import mezo_adam as mezo_adam
from zojax.methods._mezo_bcd import mezo_bcd as mezo_bcd
from zojax.methods._mezo_gv import mezo_gv as mezo_gv
from zojax.methods._mezo_svrg import mezo_svrg as mezo_svrg
from zojax.methods._p_gap import p_gap as p_gap
from zojax.methods._r_adazo import r_adazo as r_adazo
from zojax.methods._sparse_mezo import sparse_mezo as sparse_mezo
from zojax.methods._spsa import spsa as spsa
from zojax.methods._subzero import subzero as subzero
from zojax.methods._tezo import tezo as tezo
from zojax.methods._unbiased_zo import unbiased_zo as unbiased_zo
from zojax.methods._zo_adamm import zo_adamm as zo_adamm
from zojax.methods._zo_adamu import zo_adamu as zo_adamu
from zojax.methods._zo_hgd import zo_hgd as zo_hgd
from zojax.methods._zo_mopi import zo_mopi as zo_mopi
from zojax.methods._zo_muon import zo_muon as zo_muon
from zojax.methods._zo_rmsprop import zo_rmsprop as zo_rmsprop
from zojax.methods._zo_sgd import zo_sgd as zo_sgd
from zojax.methods._zo_sign_sgd import zo_sign_sgd as zo_sign_sgd
from zojax.methods._zoar import zoar as zoar

__all__ = [
    "agzo",
    "ar1_zo",
    "conmezo",
    "dizo",
    "eggroll",
    "fzoo",
    "grzo",
    "hizoo",
    "kerzoo",
    "loren",
    "lozo",
    "meazo",
    "mezo",
    "mezo_adam",
    "mezo_bcd",
    "mezo_gv",
    "mezo_svrg",
    "p_gap",
    "r_adazo",
    "sparse_mezo",
    "spsa",
    "subzero",
    "tezo",
    "unbiased_zo",
    "zo_adamm",
    "zo_adamu",
    "zo_hgd",
    "zo_mopi",
    "zo_muon",
    "zo_rmsprop",
    "zo_sgd",
    "zo_sign_sgd",
    "zoar",
]
