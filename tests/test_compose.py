"""Composition expressions: the grammar, what may nest in what, and one text for equal work."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapterstilts.compose import (
    CompositionError,
    Expression,
    Group,
    Leaf,
    expand,
    fused_target,
    has_fusion,
    is_full,
    leaves,
    parse,
    rename,
    unwrap,
    without_target,
)

CANONICAL = [
    # text, canonical text
    ("target", "target"),
    ("full_finetune", "full_finetune"),
    ("  stack( mnli ,target )  ", "stack(mnli, target)"),
    ("stack(stack(a, b), target)", "stack(a, b, target)"),
    ("stack(a, stack(b, target))", "stack(a, b, target)"),
    ("stack(b, a, target)", "stack(b, a, target)"),
    ("fuse(target, b, a)", "fuse(a, b, target)"),
    ("fuse(zebra, target)", "fuse(zebra, target)"),
    ("average(b, a)", "average(a, b)"),
    ("average(b, a, weights=[1, 3])", "average(a, b, weights=[3, 1])"),
    ("average(a, b, weights=[2, 2])", "average(a, b)"),
    ("average(a, b, weights=[1e-3, 2.5])", "average(a, b, weights=[0.001, 2.5])"),
    ("average(a, b, weights=[0.12345678901, 1])", "average(a, b, weights=[0.12345678901, 1])"),
    ("average(a, b, weights=[1e20, 1])", "average(a, b, weights=[1e20, 1])"),
    ("parallel(b, stack(a, c))", "parallel(b, stack(a, c))"),
    ("stack(fuse(b, a), target)", "stack(fuse(a, b), target)"),
    ("stack(average(b, a), target)", "stack(average(a, b), target)"),
    ("fuse(average(b, a), target, c)", "fuse(average(a, b), c, target)"),
    ("init_from(average(b, a))", "init_from(average(a, b))"),
    ("full_stilts(my-task_2)", "full_stilts(my-task_2)"),
    ("stack(<language>, <intermediate>, target)", "stack(<language>, <intermediate>, target)"),
    ("stack(tweets, fuse(squad, mnli), target)", "stack(tweets, fuse(mnli, squad), target)"),
    (
        "fuse(stack(<language>, squad), stack(<language>, mnli))",
        "fuse(stack(<language>, mnli), stack(<language>, squad))",
    ),
    ("fuse(stack(a, target), b)", "fuse(b, stack(a, target))"),
    ("parallel(stack(a, b), average(d, c))", "parallel(average(c, d), stack(a, b))"),
    ("stack(random, target)", "stack(random, target)"),
    ("fuse(placebo(b), placebo(a), target)", "fuse(placebo(a), placebo(b), target)"),
    ("stack(average(placebo(b), a), target)", "stack(average(a, placebo(b)), target)"),
    ("full_stilts(placebo(<intermediate>))", "full_stilts(placebo(<intermediate>))"),
    ("longer(<intermediate>)", "longer(<intermediate>)"),
    ("head_only", "head_only"),
    ("majority", "majority"),
    ("with( lora8 , stack(a, stack(b, target)))", "with(lora8, stack(a, b, target))"),
    ("with(lora8, init_from(average(b, a)))", "with(lora8, init_from(average(a, b)))"),
]

REFUSED = [
    # text, what the message says
    ("", "an expression is missing at the end"),
    ("stack(a, ", "an expression is missing at the end"),
    ("stack(a, target", "a closing bracket of stack(...) is missing"),
    ("stack(a target)", "a closing bracket of stack(...) is missing"),
    ("stack(a, target))", "')' stands after the end of the expression"),
    ("a b", "'b' stands after the end of the expression"),
    ("stack", "'stack' is a function; write stack(...)"),
    ("stak(a, target)", "'stak' is not a function; did you mean 'stack'?"),
    ("xyzzy(a)", "'xyzzy' is not a function; known: stack, fuse"),
    ("stack(1, target)", "'1' where a name or a function was expected"),
    ("stack(a; target)", "cannot read '; target)'"),
    ("<speech>", "<speech> is not a placeholder; known: <intermediate>, <domain>, <language>"),
    ("stack(a)", "stack takes 2 to 8 arguments"),
    ("fuse(a)", "fuse takes 2 to 32 arguments"),
    ("full_stilts(a, b)", "full_stilts takes 1 arguments"),
    (f"stack({', '.join(f'a{i}' for i in range(9))})", "stack takes 2 to 8 arguments"),
    ("stack(stack(a, b, c, d), stack(e, f, g, h), target)", "stack takes 2 to 8 arguments"),
    (
        "average(stack(a, b), c)",
        "stack cannot stand in average: average(stack(a, b), c); average takes leaf, placebo",
    ),
    ("average(average(a, b), c)", "average cannot stand in average"),
    ("fuse(fuse(a, b), target)", "fuse cannot stand in fuse"),
    ("fuse(parallel(a, b), target)", "parallel cannot stand in fuse"),
    ("full_stilts(average(a, b))", "average cannot stand in full_stilts"),
    ("stack(init_from(a), target)", "init_from(...) can only stand outermost: init_from(a)"),
    ("fuse(full_stilts(a), target)", "full_stilts(...) can only stand outermost: full_stilts(a)"),
    ("stack(full_finetune, target)", "full_finetune is a whole model"),
    ("stack(head_only, target)", "head_only is the bare backbone and cannot stand inside another"),
    ("fuse(a, majority)", "majority is no model and cannot stand inside another expression"),
    ("with(lora8)", "with takes 2 arguments"),
    ("stack(with(lora8, a), target)", "with(...) can only stand outermost: with(lora8, a)"),
    ("with(lora8, with(ia3, target))", "no adapter of with(ia3, target) has settings"),
    ("with(lora8, full_finetune)", "no adapter of full_finetune has settings"),
    ("with(lora8, full_stilts(a))", "no adapter of full_stilts(a) has settings"),
    ("with(lora8, head_only)", "no adapter of head_only has settings"),
    ("with(target, a)", "target where the name of settings was expected"),
    ("with(<domain>, target)", "<domain> where the name of settings was expected"),
    ("with(stack(a, b), target)", "stack(a, b) where the name of settings was expected"),
    ("with(lora8, stack(target, a))", "target is trained last, so it stands last in a stack"),
    (
        "with(lora8, stack(a, full_finetune))",
        "full_finetune is a whole model and cannot stand inside another",
    ),
    ("placebo(average(a, b))", "average cannot stand in placebo"),
    ("placebo(placebo(a))", "placebo cannot stand in placebo"),
    ("longer(placebo(a))", "placebo cannot stand in longer"),
    ("stack(longer(a), target)", "longer(...) can only stand outermost"),
    ("placebo(random)", "random is never trained, and placebo needs what was learned"),
    ("init_from(random)", "random is never trained, and init_from needs what was learned"),
    ("longer(random)", "random is never trained, and longer needs what was learned"),
    ("full_stilts(random)", "random is never trained, and full_stilts needs what was learned"),
    ("init_from(average(<language>, a))", "<language> changes with what is read, and init_from needs one"),
    ("placebo(<language>)", "<language> changes with what is read, and placebo needs one"),
    ("longer(target)", "target is not trained yet where longer needs it"),
    ("placebo(target)", "target is not trained yet where placebo needs it"),
    ("parallel(stack(a, target), b)", "target is not trained yet where parallel needs it"),
    ("fuse(stack(fuse(a, b), c), d)", "fuse cannot stand in a stack that stands in fuse"),
    ("parallel(stack(a, parallel(b, c)), d)", "parallel cannot stand in a stack that stands in parallel"),
    ("stack(fuse(a, b), fuse(c, d), target)", "there are 2 fusions in it; one can be learned"),
    ("fuse(stack(a, c), stack(b, c))", "several of its parts end in c"),
    ("fuse(stack(a, c), c)", "several of its parts end in c"),
    ("stack(target, a)", "target is trained last, so it stands last in a stack"),
    ("stack(stack(a, target), b)", "target is trained last, so it stands last in a stack"),
    ("stack(fuse(a, target), target)", "target stands in it twice"),
    ("average(a, target)", "target is not trained yet where average needs it"),
    ("init_from(target)", "target is not trained yet where init_from needs it"),
    ("fuse(a, a, target)", "a stands in it twice"),
    ("stack(stack(a, b), a, target)", "a stands in it twice"),
    ("average(a, b, weights=[1])", "weights belong to average, one a child"),
    ("fuse(a, b, weights=[1, 2])", "weights belong to average, one a child"),
    ("average(a, b, weights=1)", "weights are written weights=[0.3, 0.7]"),
    ("average(a, b, weights=[1, x])", "weights are written weights=[0.3, 0.7]"),
    ("average(a, b, weights=[1, 2]", "a closing bracket of average(...) is missing"),
    ("average(a, b, weights=[1, -1])", "the sum of the weights has to be positive"),
    ("average(a, b, weights=[0, 0])", "the sum of the weights has to be positive"),
    ("average(a, b, weights=[1e999, 1])", "the sum of the weights has to be positive"),
]


@pytest.mark.parametrize(("text", "canonical"), CANONICAL)
def test_equal_work_has_one_text(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(CompositionError) as caught:
        parse(text)
    assert message in str(caught.value)


# No time limit on a shared machine, and nothing written beside the tests.
PROPERTY = settings(deadline=None, database=None)
NAMES = st.sampled_from(["a", "b2", "long-name", "under_score", "Zed"])
NUMBERS = st.floats(1e-9, 1e30, allow_nan=False)


@st.composite
def averages(draw: st.DrawFn) -> str:
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    weights = draw(st.none() | st.lists(NUMBERS, min_size=len(names), max_size=len(names)))
    shown = "" if weights is None else f", weights=[{', '.join(repr(w).replace('e+', 'e') for w in weights)}]"
    return f"average({', '.join(names)}{shown})"


PARTS = st.recursive(
    NAMES | st.just("target") | st.just("<intermediate>") | averages(),
    lambda inner: st.tuples(
        st.sampled_from(["stack", "fuse", "parallel", "average", "init_from", "placebo"]),
        st.lists(inner, min_size=1, max_size=4),
    ).map(lambda pair: f"{pair[0]}({', '.join(pair[1])})"),
    max_leaves=8,
)


@PROPERTY
@given(PARTS)
def test_a_canonical_text_reads_as_itself(text: str) -> None:
    try:
        expression = parse(text)
    except CompositionError:
        return
    assert parse(str(expression)) == expression


@PROPERTY
@given(st.permutations(["a", "b", "c", "target"]))
def test_the_order_in_a_fusion_means_nothing(names: list[str]) -> None:
    assert str(parse(f"fuse({', '.join(names)})")) == "fuse(a, b, c, target)"


@PROPERTY
@given(averages())
def test_weights_stay_with_their_children(text: str) -> None:
    expression = parse(text)
    assert isinstance(expression, Group)
    names, _, shown = text[len("average(") : -1].partition(", weights=[")
    if not shown:
        assert expression.weights == ()
        return
    written = dict(zip(names.split(", "), map(float, shown.rstrip("]").split(", ")), strict=True))
    if len(set(written.values())) == 1:
        assert expression.weights == ()
    else:
        assert dict(zip(map(str, expression.children), expression.weights, strict=True)) == written


def texts(expressions: tuple[Expression, ...]) -> list[str]:
    return [str(one) for one in expressions]


def test_placeholders_stand_for_every_name() -> None:
    names = {"intermediate": ["mnli", "alias"], "domain": ["tweets"]}
    assert texts(expand(parse("stack(<intermediate>, target)"), names)) == [
        "stack(mnli, target)",
        "stack(alias, target)",
    ]
    # An expanded fusion is put in order again.
    assert texts(expand(parse("fuse(<intermediate>, <domain>, target)"), names)) == [
        "fuse(mnli, tweets, target)",
        "fuse(alias, tweets, target)",
    ]
    assert texts(expand(parse("target"), names)) == ["target"]
    assert texts(expand(parse("stack(<language>, target)"), names)) == ["stack(<language>, target)"]
    assert expand(parse("stack(<intermediate>, target)"), {"intermediate": []}) == ()


def test_expanding_to_the_same_work_counts_once() -> None:
    expression = parse("fuse(<intermediate>, <domain>, target)")
    assert texts(expand(expression, {"intermediate": ["a", "b"], "domain": ["c"]})) == [
        "fuse(a, c, target)",
        "fuse(b, c, target)",
    ]
    crossed = expand(
        parse("average(<intermediate>, <domain>)"), {"intermediate": ["a"], "domain": ["b", "b"]}
    )
    assert texts(crossed) == ["average(a, b)"]


def test_a_placeholder_cannot_become_its_neighbour() -> None:
    with pytest.raises(CompositionError, match=r"fuse\(mnli, mnli, target\): mnli stands in it twice"):
        expand(parse("fuse(<intermediate>, mnli, target)"), {"intermediate": ["squad", "mnli"]})


@pytest.mark.parametrize(
    ("text", "untrained"),
    [
        ("target", "stack()"),
        ("stack(x, target)", "x"),
        ("stack(x, y, target)", "stack(x, y)"),
        ("stack(average(x, y), target)", "average(x, y)"),
        ("average(x, y)", "average(x, y)"),
        ("parallel(x, y)", "parallel(x, y)"),
        ("init_from(x)", "x"),
        ("full_stilts(x)", "full_stilts(x)"),
        ("x", "x"),
        ("fuse(x, target)", None),
        ("stack(fuse(x, y), target)", None),
        ("full_finetune", None),
        ("head_only", None),
        ("majority", None),
        ("longer(x)", None),
        ("stack(random, target)", "random"),
        ("stack(placebo(x), target)", "placebo(x)"),
        ("init_from(placebo(x))", "placebo(x)"),
        ("stack(parallel(x, y), target)", "parallel(x, y)"),
        ("with(s, stack(x, target))", "x"),
        ("with(s, target)", "stack()"),
        ("stack(<language>, x, target)", None),
    ],
)
def test_a_method_on_a_target_without_training(text: str, untrained: str | None) -> None:
    found = without_target(parse(text))
    assert (None if found is None else str(found)) == untrained


def test_leaves_from_left_to_right_each_once() -> None:
    assert leaves(parse("stack(fuse(b, a), b, target)")) == ("a", "b", "target")
    assert leaves(parse("with(s, stack(placebo(b), target))")) == ("b", "target")


@pytest.mark.parametrize(
    ("text", "settings", "method"),
    [("with(s, stack(a, target))", "s", "stack(a, target)"), ("target", "", "target")],
)
def test_settings_are_told_from_the_method(text: str, settings: str, method: str) -> None:
    found, inner = unwrap(parse(text))
    assert (found, str(inner)) == (settings, method)


def test_renaming_keeps_the_order_of_children() -> None:
    renamed = rename(parse("fuse(a, b, target)"), {"a": "z", "b": "y", "target": "self"}.__getitem__)
    assert str(renamed) == "fuse(z, y, self)"
    assert rename(Leaf("a"), str.upper) == Leaf("A")
    assert str(rename(parse("with(s, stack(placebo(a), target))"), str.upper)) == (
        "with(s, stack(placebo(A), TARGET))"
    )


@pytest.mark.parametrize(
    ("text", "full", "fusion"),
    [
        ("full_finetune", True, False),
        ("full_stilts(a)", True, False),
        ("target", False, False),
        ("stack(fuse(a, b), target)", False, True),
        ("fuse(a, target)", False, True),
    ],
)
def test_what_kind_of_method_it_is(text: str, full: bool, fusion: bool) -> None:
    assert (is_full(parse(text)), has_fusion(parse(text))) == (full, fusion)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target", None),
        ("fuse(a, target)", "target"),
        ("fuse(a, b)", None),
        ("stack(fuse(a, target), b)", "target"),
        ("stack(fuse(a, b), target)", None),
        ("fuse(stack(<language>, a), stack(<language>, target))", "stack(<language>, target)"),
        ("with(s, fuse(a, target))", "target"),
        ("full_stilts(a)", None),
    ],
)
def test_what_holds_the_target_in_a_fusion_is_found(text: str, expected: str | None) -> None:
    found = fused_target(parse(text))
    assert (None if found is None else str(found)) == expected
