"""The laws of physics that models obey, as tests that the tests of a model inherit.

:class:`PotentialLaws` and :class:`JumpLaws` hold for the kinds of model that there are, also with further outputs;
:class:`ModelLaws` is what another kind begins with. A test class of pytest gives the model::

    class TestMyPotential(PotentialLaws):
        @pytest.fixture
        def model(self) -> Potential:
            return with_random_weights(Potential(PotentialConfig(species=("H", "C"))))

A law that does not hold for all models of a kind has a class of its own, such as :class:`DerivativeLaws`. None passes
without a comparison: outputs that are missing, or zero for all examples, are failures.
"""

from mlff.testing.comparison import agree
from mlff.testing.derivatives import DerivativeLaws
from mlff.testing.files import FileLaws, ScriptLaws
from mlff.testing.jump import CloudLaws, JumpInput, JumpLaws
from mlff.testing.laws import ModelLaws, with_random_weights
from mlff.testing.locality import LocalityLaws
from mlff.testing.potential import ConservativeLaws, PotentialLaws
from mlff.testing.structures import StructureLaws

__all__ = [
    "CloudLaws",
    "ConservativeLaws",
    "DerivativeLaws",
    "FileLaws",
    "JumpInput",
    "JumpLaws",
    "LocalityLaws",
    "ModelLaws",
    "PotentialLaws",
    "ScriptLaws",
    "StructureLaws",
    "agree",
    "with_random_weights",
]
