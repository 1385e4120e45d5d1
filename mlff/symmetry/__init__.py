"""Point groups as matrices, the symmetry of molecules and crystals, and equivariant sets that break it."""

from typing import TYPE_CHECKING

from mlff.support.lazy import lazy

if TYPE_CHECKING:
    from mlff.symmetry.breaking import BreakingSet as BreakingSet
    from mlff.symmetry.breaking import breaking_set as breaking_set
    from mlff.symmetry.breaking import breaking_sets as breaking_sets
    from mlff.symmetry.breaking import complement as complement
    from mlff.symmetry.characters import CharacterTable as CharacterTable
    from mlff.symmetry.characters import character_table as character_table
    from mlff.symmetry.characters import restricted as restricted
    from mlff.symmetry.characters import subduced as subduced
    from mlff.symmetry.crystal import CrystalSymmetry as CrystalSymmetry
    from mlff.symmetry.crystal import space_group as space_group
    from mlff.symmetry.group import Group as Group
    from mlff.symmetry.isotropy import IsotropySubgroup as IsotropySubgroup
    from mlff.symmetry.isotropy import isotropy_subgroups as isotropy_subgroups
    from mlff.symmetry.isotropy import stabiliser as stabiliser
    from mlff.symmetry.limits import LimitGroup as LimitGroup
    from mlff.symmetry.molecule import MoleculeSymmetry as MoleculeSymmetry
    from mlff.symmetry.molecule import point_group as point_group
    from mlff.symmetry.molecule import require_group as require_group
    from mlff.symmetry.naming import class_names as class_names
    from mlff.symmetry.naming import class_sizes as class_sizes
    from mlff.symmetry.normalisers import normaliser as normaliser
    from mlff.symmetry.representations import invariants as invariants
    from mlff.symmetry.representations import representation as representation
    from mlff.symmetry.schoenflies import CRYSTALLOGRAPHIC as CRYSTALLOGRAPHIC
    from mlff.symmetry.schoenflies import NAMES as NAMES
    from mlff.symmetry.schoenflies import finite_group as finite_group
    from mlff.symmetry.schoenflies import group_of as group_of
    from mlff.symmetry.schoenflies import point_group_named as point_group_named
    from mlff.symmetry.subgroups import SubgroupClass as SubgroupClass
    from mlff.symmetry.subgroups import find_subgroups as find_subgroups
    from mlff.symmetry.subgroups import subgroup_classes as subgroup_classes
    from mlff.symmetry.tensors import tensor_group as tensor_group

__getattr__, __dir__, __all__ = lazy(__name__, __file__)
