"""What programs may use: every entry computes from its inputs, and acts on nothing else."""

import json
from importlib.resources import files

import pytest
import torch
from support.archives import CODE, UNSIGNED, in_forward, read_member, rewrite

import mlff
from mlff.artifacts import ArtifactError
from mlff.artifacts.operators import operators, operators_of
from mlff.potential.artifact import KIND

#: Arguments that are texts, none of which names a file.
TEXTS = {"rounding_mode", "reduce", "equation", "approximate", "mode", "UPLO", "driver", "side", "norm", "ord"}
TEXTS |= {"indexing", "interpolation", "padding", "self", "key", "substr", "s", "old", "new", "separator", "string"}
TEXTS |= {"el", "item", "idx", "chars", "a", "b", "t", "msg", "message", "cls"}


def schemas():
    allowed = operators()
    return [schema for schema in torch._C._jit_get_all_schemas() if schema.name in allowed]


def effect(schema):
    return operators()[schema.name]


def overloads():
    """Of those that can be called from Python: effect, name and the overload itself."""
    for name, kind in operators().items():
        space, _, short = name.partition("::")
        if space == "aten" and hasattr(torch.ops.aten, short):
            packet = getattr(torch.ops.aten, short)
            for overload in packet.overloads():
                yield kind, name, getattr(packet, overload)


def test_every_entry_has_a_reason_and_stands_once():
    groups = json.loads(files("mlff.artifacts").joinpath("operators.json").read_text("utf-8"))
    names = [name for group in groups for name in group["operators"]]
    assert len(set(names)) == len(names) > 450
    assert all(len(group["reason"]) > 20 for group in groups)
    assert {group["effect"] for group in groups} == {"new", "pure", "view", "writes", "dead"}


def test_only_those_that_say_so_change_their_inputs():
    """By the schemas of torch: what is changed is the first argument, or an output that the caller hands in."""
    changing = 0
    for schema in schemas():
        for index, argument in enumerate(schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write and not argument.is_out:
                changing += 1
                assert effect(schema) in ("writes", "dead"), schema
                assert index == 0, schema
    assert changing > 50


def test_only_those_that_freezing_removes_draw_random_numbers():
    drawing = set()
    for schema in schemas():
        if any("Generator" in str(argument.type) for argument in schema.arguments):
            drawing.add(schema.name)
    for _, name, overload in overloads():
        if torch.Tag.nondeterministic_seeded in overload.tags:
            drawing.add(name)
    assert len(drawing) > 15
    assert {name for name in drawing if operators()[name] != "dead"} == set()


def test_none_takes_the_name_of_a_file():
    for schema in schemas():
        for argument in schema.arguments:
            if str(argument.type) in ("str", "Optional[str]") and schema.name != "prim::RaiseException":
                assert argument.name in TEXTS, schema


def test_none_acts_on_the_process():
    words = ("save", "from_file", "seed", "set_", "print", "rpc", "profil", "record", "stream", "backward", "thread")
    for name, kind in operators().items():
        short = name.partition("::")[2]
        assert kind == "dead" or not any(word in short for word in words if short != "_set_item"), name
    assert {"aten::save", "aten::from_file", "aten::manual_seed", "aten::empty", "prim::Print"}.isdisjoint(operators())


def samples():
    """Arguments that many operators take."""
    x = torch.tensor([[0.3, 0.5], [0.2, 0.9]], dtype=torch.float64)
    i = torch.tensor([[1, 0], [0, 1]])
    yield from ([x], [x, x], [x, 0], [x, 1], [x, [1, 0]], [x, x, x], [x, 0, 1], [x, 0, i], [x, 0, i, x], [[x, x]], [i])
    yield from ([i, i], [[2, 2]], [x, 0, i[0], x], [x, [2, 2]], [x, i > 0, 1.0], [i > 0, x, x], [x, [i[0]]], [3])
    yield [x[None], x[None]]


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)


def test_calls_change_nothing_and_new_memory_is_new():
    state, flags = torch.get_rng_state(), (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads())
    called = set()
    for kind, name, overload in overloads():
        if kind not in ("new", "pure", "view") or any(a.is_out for a in overload._schema.arguments):
            continue
        arguments = [argument for argument in overload._schema.arguments if not argument.kwarg_only]
        needed = sum(not argument.has_default_value() for argument in arguments)
        for given in samples():
            if not needed <= len(given) <= len(arguments):
                continue
            before = [x.clone() for x in tensors(given)]
            try:
                outputs = list(tensors(overload(*given)))
            except Exception:  # other arguments than it takes
                continue
            called.add(name)
            assert all(map(torch.equal, tensors(given), before)), name
            if kind == "new":
                mine = {x.untyped_storage().data_ptr() for x in outputs if x.numel()}
                assert mine.isdisjoint({x.untyped_storage().data_ptr() for x in tensors(given)}), (name, given)
    assert len(called) > 250
    assert torch.equal(torch.get_rng_state(), state)
    assert flags == (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads())


USED = "positions = torch.add(positions, torch.sum({}))"
LOOP = """k = torch.sum(positions)
for i in range(2):
  b = torch.mul_(a, 2.)
  k0 = torch.add(k, torch.sum(b))
  a0 = {}
  a = a0
  k = k0
positions = torch.add(positions, torch.add(k, torch.sum(a)))"""


@pytest.mark.parametrize(
    ("statement", "fine"),
    [
        (f"a = torch.mul(positions, 1.)\n_a = torch.mul_(torch.select(a, 0, 0), 2.)\n{USED.format('a')}", True),
        (f"a = annotate(List[Tensor], [])\n_a = torch.append(a, positions)\n{USED.format('torch.stack(a)')}", True),
        ("a = [positions]\nb = torch.pop(a)\n_b = torch.mul_(b, 2.)", False),
        ("a, b, = torch.unbind(torch.zeros([2, 3]))\n_a = torch.mul_(a, 2.)", True),
        ("if compute_forces:\n  a = torch.mul(positions, 2.)\nelse:\n  a = positions\n_a = torch.mul_(a, 2.)", False),
        ("a = torch.to(positions, 7)\n_a = torch.mul_(a, 2.)", False),
        (f"a = positions\n{LOOP.format('torch.add(a, 1.)')}", False),
        (f"a = torch.zeros([2])\n{LOOP.format('positions')}", False),
        (f"a = torch.zeros([2])\n{LOOP.format('torch.add(a, 1.)')}", True),
    ],
)
def test_in_place_operators_change_what_the_program_made(statement, fine, toy_file, tmp_path):
    code = in_forward(statement)(read_member(toy_file, CODE).decode())
    path = rewrite(toy_file, tmp_path / "model.pt", {CODE: code.encode(), **UNSIGNED})
    if fine:
        mlff.load(path, verify=False)
    else:
        with pytest.raises(ArtifactError, match="changes what the program did not make"):
            mlff.load(path, verify=False)


def test_a_kind_adds_operators(toy_file, tmp_path, monkeypatch):
    code = in_forward("_x = torch.erfcx(positions)\npositions = torch.add(positions, torch.sum(_x))")
    text = code(read_member(toy_file, CODE).decode()).replace("erfcx", "hann_window")
    text = text.replace("(positions)\n    pos", "(3)\n    pos")
    path = rewrite(toy_file, tmp_path / "model.pt", {CODE: text.encode(), **UNSIGNED})
    with pytest.raises(ArtifactError, match=r"torch\.hann_window"):
        mlff.load(path, verify=False)
    monkeypatch.setattr(type(KIND), "operators", {"aten::hann_window": "new", "aten::add": "dead"}, raising=False)
    assert operators_of(KIND)["aten::add"] == "new"
    mlff.load(path, verify=False)
