"""Crafted model files: none reads, writes or changes anything, none crashes, all end in one sentence."""

import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import molecule
from support.archives import CODE, UNSIGNED, in_forward, read_member, rewrite
from typer.testing import CliRunner

import mlff
from mlff.artifacts import ArtifactError, torchscript
from mlff.cli import app

PRECIOUS = "precious\n" * 10


def in_class(text: str) -> Callable[[str], str]:
    return lambda code: code.replace("  cutoff : float\n", f"  cutoff : float\n{text}\n")


def before(text: str) -> Callable[[str], str]:
    return lambda code: f"{text}\n{code}"


def after(text: str) -> Callable[[str], str]:
    return lambda code: f"{code}\n{text}\n"


SETSTATE = '''  def __setstate__(self: __torch__.support.toy_potential.ToyPotential,
    state: Tuple[int, bool]) -> NoneType:
    _0 = torch.from_file("VICTIM", True, 16, dtype=0)
    return None'''

#: What is done to the program, and a word of the refusal. VICTIM is a file of the user.
PROGRAMS = {
    "save": (in_forward('torch.save(positions, "VICTIM")'), "torch.save"),
    "save as a method": (in_forward('_x = (positions).save("VICTIM", )'), "'save'"),
    "save by another name": (in_forward('f = torch.save\n_x = f(positions, "VICTIM")'), "torch.save"),
    "save as a bound method": (in_forward('f = positions.save\n_x = f("VICTIM")'), "'save'"),
    "save through getattr": (in_forward('_x = getattr(positions, "save")("VICTIM")'), "getattr"),
    "save through ops": (in_forward('ops.aten.save(positions, "VICTIM")'), "ops.aten.save"),
    "save after a line break": (in_forward('_x = torch.add(positions, 1)\ntorch . save(positions, "VICTIM")'), "save"),
    "save in a default": (after('def f(x: int=torch.save(3, "VICTIM")) -> int:\n  return x'), "torch.save"),
    "save in an annotation": (after('def f(x: torch.save(3, "VICTIM")) -> int:\n  return 1'), "torch.save"),
    "file mapped for writing": (in_forward('y = torch.from_file("VICTIM", True, 16, dtype=0)'), "from_file"),
    "file mapped in a function": (after('def f() -> Tensor:\n  return torch.from_file("VICTIM", True, 16)'), "from_f"),
    "setstate": (in_class(SETSTATE), "__setstate__"),
    "getattr defined": (in_class("  def __getattr__(self: Tensor, name: str) -> int:\n    return 1"), "__getattr__"),
    "seed": (in_forward("torch.manual_seed(7)"), "manual_seed"),
    "generator": (in_forward("_x = torch.rand([3])\npositions = torch.add(positions, torch.sum(_x))"), "aten::rand"),
    "dropout": (in_forward("positions = torch.dropout(positions, 0.5, True)"), "aten::dropout"),
    "global flag": (in_forward("torch.set_grad_enabled(False)"), "set_grad_enabled"),
    "print": (in_forward("print(positions)"), "'print'"),
    "prim print": (in_forward("ops.prim.Print(positions)"), "Print"),
    "warning": (in_forward('torch.warn("\\033[2J")'), "aten::warn"),
    "uninitialised memory": (in_forward("y = torch.empty([100])"), "torch.empty"),
    "resized": (in_forward("_x = torch.resize_(torch.zeros([4]), [4000000])"), "resize_"),
    "another storage": (in_forward("_x = torch.as_strided(positions, [4000], [1])"), "as_strided"),
    "unchecked index": (in_forward("_x = torch._unsafe_index(positions, [numbers])"), "_unsafe_index"),
    "operator of another library": (in_forward("_x = ops.quantized.linear_prepack(positions, None)"), "quantized"),
    "profiler": (in_forward("_x = ops.profiler._record_function_enter(\"x\")"), "profiler"),
    "call in the network": (in_forward('_x = ops.prim.rpc_sync("worker", positions)'), "rpc_sync"),
    "custom class": (in_forward("_x = __torch__.torch.classes.profiling.SourceRef()"), "classes"),
    "input changed": (in_forward("_x = torch.add_(positions, 1.)"), "aten::add_"),
    "input changed through a view": (in_forward("_x = torch.zero_(torch.select(positions, 0, 0))"), "aten::zero_"),
    "input changed through a list": (in_forward("a, = [positions]\n_x = torch.mul_(a, 2.)"), "aten::mul_"),
    "input given as output": (in_forward("_x = torch.add(positions, 1, alpha=1, out=positions)"), "aten::add"),
    "weight changed": (in_forward("_x = torch.mul_(self.depth, 2.)"), "aten::mul_"),
    "attribute set": (in_forward("self.cutoff = 9."), "self.cutoff"),
    "while": (in_forward("k = 1\nwhile torch.gt(k, 0):\n  k = torch.add(k, 1)"), "while loop"),
    "with": (in_forward("with positions:\n  pass"), "With"),
    "try": (in_forward("try:\n  pass\nexcept:\n  pass"), "Try"),
    "lambda": (in_forward("f = lambda x: x"), "Lambda"),
    "comprehension": (in_forward("f = [x for x in [1]]"), "ListComp"),
    "formatted string": (in_forward('f = f"{positions}"'), "JoinedStr"),
    "import": (before("import os"), "Import"),
    "statement between functions": (before('torch.save(3, "VICTIM")'), "construct Expr"),
    "decorator": (before("@torch.save\ndef f(x: int) -> int:\n  return x"), "signs"),
    "global": (in_forward("global x"), "Global"),
    "delete": (in_forward("del positions"), "Delete"),
    "star": (in_forward("_x = torch.add(*[positions, 1])"), "Starred"),
    "keywords": (in_forward('_x = torch.add(positions, **{"other": 1})'), "signs"),
    "any arguments": (after("def f(x: int, /) -> int:\n  return x"), "signs"),
    "comment with a type": (in_forward('x = []  # type: List[int]'), "comments"),
    "line joined": (in_forward('x = 1 + \\\n 2'), "construct BinOp"),
    "string in single quotes": (in_forward("x = 'a'"), "string"),
    "raw string": (in_forward('x = r"a"'), "string"),
    "strings side by side": (in_forward('x = "a" "b"'), "string"),
    "tab": (in_forward("x =\t1"), "signs"),
    "form feed": (in_forward("x =\f1"), "signs"),
    "look-alike letters": (in_forward("torch.\u0455ave(positions)"), "not a program"),
    "name with a zero-width joiner": (in_forward("to\u200drch = 1"), "not a program"),
    "torch renamed": (in_forward("torch = positions"), "'torch'"),
    "builtin renamed": (in_forward("annotate = positions"), "'annotate'"),
    "base class": (before("class A(Exception):\n  pass"), "neither a Module"),
    "interface": (before("class A(Interface):\n  pass"), "neither a Module"),
    "class in a function": (in_forward("class A(Module):\n  pass"), "class within a function"),
    "hooks": (in_class('  __forward_hooks__ = ["forward", ]'), "torch does not write"),
    "deep brackets": (in_forward(f"x = {'(' * 250}1{')' * 250}"), "not a program"),
    "deep lists": (in_forward(f"x = {'[' * 190}1{']' * 190}"), "deeply"),
    "long chain": (in_forward(f"x = self{'.depth' * 3000}"), "deeply|not a program"),
    "many signs": (in_forward(f"x = {'-' * 5000}1"), "deeply|not a program"),
    "no syntax": (before("def f(:"), "not a program"),
    "binary": (lambda code: "\0" + code, "not a program"),
    "endless recursion": (after("def f(x: int) -> int:\n  return __torch__.support.toy_potential.f(x, )"), "."),
}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text(PRECIOUS)
    return path


def refused(path: Path, victim: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """The refusal of a file that is opened and changes nothing."""
    files, state = sorted(victim.parent.iterdir()), torch.get_rng_state()
    with pytest.raises(ArtifactError) as caught:
        mlff.load(path)
    assert victim.read_text() == PRECIOUS
    assert sorted(victim.parent.iterdir()) == files
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
    assert capfd.readouterr() == ("", "")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "endless recursion"])
def test_programs_that_may_act_are_refused(name, toy_file, tmp_path, victim, capfd):
    change, reason = PROGRAMS[name]
    old = read_member(toy_file, CODE).decode()
    new = change(old).replace("VICTIM", str(victim))
    assert new != old
    path = rewrite(toy_file, tmp_path / "model.pt", {CODE: new.encode(), **UNSIGNED})
    message = refused(path, victim, capfd)
    assert any(word in message for word in reason.split("|")), message


def test_a_trusted_program_does_what_it_says(toy_file, tmp_path, victim):
    """Otherwise the refusals would show nothing."""
    code = in_forward('torch.save(positions, "VICTIM")')(read_member(toy_file, CODE).decode())
    path = rewrite(toy_file, tmp_path / "model.pt", {CODE: code.replace("VICTIM", str(victim)).encode()})
    model = mlff.load(path, verify=False, trust=True)
    model.evaluate(model.graph(molecule("H2O")))
    assert victim.read_bytes() != PRECIOUS.encode()


def test_a_second_module_is_judged_too(toy_file, tmp_path, victim, capfd):
    for member in ("code/__torch__/other.py", "code/__torch__.py", "code/x.py", "code/__torch__/torch/nn/f.py"):
        source = f'def f(x: int) -> int:\n  torch.save(x, "{victim}")\n  return x\n'
        path = rewrite(toy_file, tmp_path / "model.pt", {member: source.encode()})
        assert "torch.save" in refused(path, victim, capfd)
        path.unlink()


STORAGE = b"KwtQq\x11"
#: What is replaced in data.pkl, and by what.
PICKLES = {
    "storage larger than its record": (STORAGE, b"J\x00\x00\x10\x00tQq\x11"),
    "storage smaller than its record": (STORAGE, b"K\x03tQq\x11"),
    "another kind of numbers": (b"torch\nLongStorage", b"torch\nFloatStorage"),
    "no kind of numbers": (b"torch\nLongStorage", b"torch\nFloatTensor"),
    "shape beyond the storage": (b"Kwt(K\x01t", b"J\x00\x00\x10\x00t(K\x01t"),
    "negative shape": (b"Kwt(K\x01t", b"J\xff\xff\xff\xfft(K\x01t"),
    "offset beyond the storage": (b"K\x00(Kwt", b"J\x00\xe1\xf5\x05(Kwt"),
    "negative offset": (b"K\x00(Kwt", b"J\xff\xff\xff\xff(Kwt"),
    "huge stride": (b"(Kwt(K\x01t", b"(Kwt(\x8a\x08" + b"\xff" * 7 + b"\x7ft"),
    "negative stride": (b"(Kwt(K\x01t", b"(Kwt(J\xff\xff\xff\xfft"),
    "stride missing": (b"(Kwt(K\x01t", b"(Kwt(t"),
    "no record": (b"X\x01\x00\x00\x002q\x10", b"X\x01\x00\x00\x009q\x10"),
    "record elsewhere": (b"X\x01\x00\x00\x002q\x10", b"X\x0c\x00\x00\x00../version/2q\x10"),
    "another device": (b"X\x03\x00\x00\x00cpu", b"X\x04\x00\x00\x00meta"),
    "function of the system": (b"ccollections\nOrderedDict\n", b"cposix\nsystem\n"),
    "class of torch": (b"support.toy_potential\nToyPotential", b"torch.classes.profiling\nSourceRef"),
    "class that is not there": (b"support.toy_potential\nToyPotential", b"support.toy_potential\nOther"),
    "place of memory far away": (b"q\x01", b"r\xff\xff\xff\x7f"),
    "instruction that is unknown": (b"N", b"\x95\0\0\0\0\0\0\0\0"),
    "no end": (b"ubq\x1c.", b"ubq\x1c"),
    "stack too short": (b"ubq\x1c.", b"ububub."),
    "module in itself": (b"}(X\x05\x00\x00\x00depth", b"}(X\x04\x00\x00\x00selfh\x00h\x1c\x85X\x05\x00\x00\x00depth"),
    "text as a number": (b"G@\x10\0\0\0\0\0\0", b"X\x01\0\0\0x"),
    "truth as a number": (b"G@\x10\0\0\0\0\0\0", b"\x88"),
    "attribute missing": (b"X\x06\x00\x00\x00cutoff", b"X\x06\x00\x00\x00cutofg"),
    "number that calls a function": (b"ccollections\nOrderedDict\n", b"K\x00"),
    "deep": (b"\x80\x02", b"\x80\x02" + b")" + b"\x85" * 5000 + b"0"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_tensors_that_lie_are_refused(name, toy_file, tmp_path, victim, capfd):
    old, new = PICKLES[name]
    pickle = read_member(toy_file, "data.pkl")
    assert old in pickle
    path = rewrite(toy_file, tmp_path / "model.pt", {"data.pkl": pickle.replace(old, new, 1), **UNSIGNED})
    assert "data.pkl" in refused(path, victim, capfd)


def test_constants_are_judged_as_tensors_are(toy_file, tmp_path, victim, capfd):
    storage = b"(X\x07\0\0\0storagectorch\nLongStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x63tQ"
    tensor = b"(" + storage + b"K\0(K\x63t(K\x01t\x89ccollections\nOrderedDict\n)Rt"
    pickle = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + tensor + b"R\x85."
    changes = {"constants.pkl": pickle, "constants/0": bytes(8)}
    message = refused(rewrite(toy_file, tmp_path / "model.pt", changes), victim, capfd)
    assert "constants.pkl: storage '0' says 792 bytes, and its record has 8" in message


def zipped(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "twin",
    [
        "archive/data.pkl",
        "archive/Data.pkl",
        "archive/./data.pkl",
        "archive/x/../data.pkl",
        "archive//data.pkl",
        "/archive/data.pkl",
        "../archive/data.pkl",
        "archive\\data.pkl",
        "archive/data\u200b.pkl",
        "archive/\x1b[2J",
        "Archive/data.pkl",
        "data.pkl",
        "archive/" + "x" * 5000,
        "archive/model.json",
        "archive/bytecode.pkl",
        "archive/data/00x",
    ],
)
def test_members_that_readers_may_take_for_others(twin, toy_file, tmp_path, victim, capfd):
    with zipfile.ZipFile(toy_file) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    message = refused(zipped(tmp_path / "model.pt", [*members, (twin, b"\x80\x02N.")]), victim, capfd)
    assert "\x1b" not in message
    assert len(message) < 1000


def test_a_second_table_of_members_is_not_what_torch_gets(toy_file, tmp_path, victim):
    """One reader may find the table by its place in the file, another one just before the end of the file."""
    evil = in_forward(f'torch.save(positions, "{victim}")')(read_member(toy_file, CODE).decode())
    first = rewrite(toy_file, tmp_path / "first.pt", {CODE: evil.encode()}).read_bytes()
    second = toy_file.read_bytes()
    size, offset = struct.unpack("<II", second[-10:-2])
    table = second[offset : offset + size]
    end = second[-22:-6] + first[-6:-2] + second[-2:]  # the place of the first table
    path = tmp_path / "model.pt"
    path.write_bytes(first[:-22] + second[:offset] + table + end)
    try:
        model = mlff.load(path, verify=False)
        model.evaluate(model.graph(molecule("H2O")))
    except ArtifactError:
        pass
    assert victim.read_text() == PRECIOUS


def test_members_that_overlap_or_inflate(toy_file, tmp_path, victim, capfd):
    data = bytearray(toy_file.read_bytes())
    place = data.rfind(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", 2**31, 2**31)
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    refused(path, victim, capfd)


def test_text_is_limited_and_harmless_in_terminals(toy_file, tmp_path, victim, capfd):
    metadata = read_member(toy_file, "extra/metadata.json")
    deep = rewrite(toy_file, tmp_path / "model.pt", {"extra/metadata.json": b"[" * 10**6})
    assert "not valid JSON" in refused(deep, victim, capfd)
    kind = metadata.replace(b'"kind": "potential"', b'"kind": "\\u001b[2J\\u202e"')
    assert "\x1b" not in refused(rewrite(toy_file, deep, {"extra/metadata.json": kind}), victim, capfd)
    name = metadata.replace(b'"name": "toy"', b'"name": "toy\\u001b]0;x\\u0007\\u202e"')
    rewrite(toy_file, deep, {"extra/metadata.json": name, **UNSIGNED})
    assert mlff.load(deep).name == "toy]0;x"
    shown = CliRunner().invoke(app, ["inspect", str(deep)])
    assert shown.exit_code == 0, shown.output
    assert "\x1b" not in shown.output


def test_a_program_that_does_not_end_is_given_up(toy_file, tmp_path):
    loop = "k = 0\nfor i in range(4000000000000000000):\n  k = torch.add(k, i)\npositions = torch.add(positions, k)"
    code = in_forward(loop)(read_member(toy_file, CODE).decode())
    path = rewrite(toy_file, tmp_path / "model.pt", {CODE: code.encode()})
    shown = CliRunner().invoke(app, ["inspect", str(path), "--time-limit", "2"])
    assert shown.exit_code == 2
    assert "did not end within 2 s" in shown.output


def test_a_program_that_calls_itself_does_no_harm(toy_file, tmp_path):
    """In a process of its own, since torch might not survive it."""
    change, _ = PROGRAMS["endless recursion"]
    code = in_forward("_x = __torch__.support.toy_potential.f(1, )")(change(read_member(toy_file, CODE).decode()))
    path = rewrite(toy_file, tmp_path / "model.pt", {CODE: code.encode()})
    call = f"import mlff\ntry: mlff.load({str(path)!r})\nexcept mlff.artifacts.ArtifactError as error: print('refused')"
    done = subprocess.run([sys.executable, "-c", f"import mlff.artifacts\n{call}"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr


def test_damage_changes_no_number(toy_file, tmp_path):
    """Flipped bytes and cuts: the same numbers, or one sentence."""
    path, data, rng = tmp_path / "model.pt", toy_file.read_bytes(), random.Random(0)
    water = molecule("H2O")
    model = mlff.load(toy_file)
    expected = model.evaluate(model.graph(water))["energy"]
    refusals = []
    for trial in range(150):
        changed = bytearray(data)
        if trial % 10 == 0:
            del changed[1 + rng.randrange(len(data) - 1) :]
        else:
            for _ in range(rng.choice((1, 1, 3))):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        try:
            found = mlff.load(path, verify=False)
        except ArtifactError as error:
            refusals.append(str(error))
            continue
        assert np.array_equal(found.evaluate(found.graph(water))["energy"], expected)
    assert len(refusals) > 100
    assert not any("\n" in message for message in refusals)


def test_judged_once_is_not_judged_for_another_file(toy_file, tmp_path, victim, capfd, monkeypatch):
    """What was learnt of a file holds for its bytes, not for its path."""
    path = rewrite(toy_file, tmp_path / "model.pt", {})
    mlff.load(path)
    monkeypatch.setattr(torchscript, "check_program", lambda *_: pytest.fail("judged again"))
    mlff.load(path, verify=False)
    monkeypatch.undo()
    code = in_forward("torch.manual_seed(7)")(read_member(toy_file, CODE).decode())
    assert "manual_seed" in refused(rewrite(toy_file, path, {CODE: code.encode()}), victim, capfd)
