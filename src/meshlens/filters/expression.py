"""pcap-filter(7) expressions as trees, read as libpcap's grammar.y reads them.

`and` and `or` have equal precedence and associate to the left; `not` binds tightest; an identifier
without qualifiers takes those of the primitive before it (`port 80 or 443`). Each primitive of the tree
carries its qualifiers, so that any piece of the tree can be printed and compiled on its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from meshlens.filters.errors import FilterError, nearest
from meshlens.filters.tokens import DIRECTIONS, KEYWORDS, KINDS, PROTOCOLS, QUALIFIERS, tokenize

__all__ = ["Chain", "Node", "Not", "Primitive", "parse", "primitives", "to_text"]

#: Negations and parentheses inside one another; keeps our recursion well within Python's.
MAX_DEPTH = 150

_OPERATORS = {"and": "and", "&&": "and", "or": "or", "||": "or"}
_NEGATIONS = ("not", "!")
_RELATIONAL = frozenset({"=", "==", "!=", "<", ">", "<=", ">="})
# Without `/`, which also stands in `net 10.0.0.0/8`.
_ARITHMETIC = _RELATIONAL | {"+", "-", "*", "%", "&", "|", "^", "<<", ">>", "["}


@dataclass(frozen=True, slots=True)
class Primitive:
    """A test that stands alone: its words, and the text that libpcap is to read."""

    words: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of `operand`."""

    operand: "Node"


@dataclass(frozen=True, slots=True)
class Chain:
    """`first op1 x1 op2 x2 …`, evaluated from the left: `((first op1 x1) op2 x2) …`."""

    first: "Node"
    rest: tuple[tuple[str, "Node"], ...]


Node = Primitive | Not | Chain


def parse(expression: str) -> Node:
    """The tree of an expression; FilterError, with the place and a suggestion, where it has none.

    What the words of a primitive mean is left to libpcap.
    """
    parser = _Parser(expression)
    node = parser.chain()
    if parser.word():
        raise FilterError(f"unexpected `{parser.word()}` after `{parser.before()}`")
    return node


def primitives(node: Node) -> Iterator[Primitive]:
    """All primitives of a tree, from left to right."""
    match node:
        case Primitive():
            yield node
        case Not(operand):
            yield from primitives(operand)
        case Chain(first, rest):
            yield from primitives(first)
            for _, operand in rest:
                yield from primitives(operand)


def to_text(node: Node) -> str:
    """The expression that libpcap reads as exactly this tree."""
    match node:
        case Primitive():
            return node.text
        case Not(operand):
            return f"not {_operand_text(operand)}"
        case Chain(first, rest):
            return " ".join([to_text(first), *(f"{operator} {_operand_text(x)}" for operator, x in rest)])


def _operand_text(node: Node) -> str:
    return f"({to_text(node)})" if isinstance(node, Chain) else to_text(node)


class _Parser:
    """A recursive descent over the tokens; `at` is the next one."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = tokenize(expression)
        self.at = 0
        self.depth = 0
        #: What an identifier without qualifiers inherits, as a range of tokens.
        self.qualifiers: tuple[int, int] | None = None

    def word(self, ahead: int = 0) -> str:
        """The next word, or "" at the end."""
        at = self.at + ahead
        return self.tokens[at].text if at < len(self.tokens) else ""

    def text(self, first: int, last: int) -> str:
        return self.expression[self.tokens[first].start : self.tokens[last - 1].end]

    def words(self, first: int, last: int) -> tuple[str, ...]:
        return tuple(token.text for token in self.tokens[first:last])

    def before(self) -> str:
        """The last few words read, for errors."""
        return self.text(max(0, self.at - 3), self.at) if self.at else ""

    def chain(self) -> Node:
        first = self.operand(self.primitive)
        rest = []
        while operator := _OPERATORS.get(self.word()):
            self.at += 1
            rest.append((operator, self.operand(self.primitive)))
        return Chain(first, tuple(rest)) if rest else first

    def operand(self, innermost: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FilterError(f"parentheses and negations are nested more than {MAX_DEPTH} deep")
        if self.word() in _NEGATIONS:
            self.at += 1
            node: Node = Not(self.operand(innermost))
        elif self.word() == "(" and not self.is_number():
            node = self.group()
        else:
            node = innermost()
        self.depth -= 1
        return node

    def group(self) -> Node:
        qualifiers = self.qualifiers
        self.at += 1
        node = self.chain()
        if self.word() != ")":
            raise FilterError(f"missing `)` after `{self.before()}`")
        self.at += 1
        self.qualifiers = qualifiers  # grammar.y: what stood before `(` counts again after `)`
        return node

    def is_number(self) -> bool:
        """Whether the parenthesis here belongs to a number: `(ip[0] & 0xf) != 5`."""
        depth = 0
        for at in range(self.at, len(self.tokens)):
            depth += {"(": 1, ")": -1}.get(self.tokens[at].text, 0)
            if depth == 0:
                return at + 1 < len(self.tokens) and self.tokens[at + 1].text in _ARITHMETIC | {"/"}
        return False

    def primitive(self) -> Node:
        word, start, end = self.word(), self.at, self.end_of_primitive()
        if start == end:
            place = f"after `{self.before()}`" if start else "in an empty expression"
            raise FilterError(f"expected a primitive {place}")
        is_relation = any(token.text in _ARITHMETIC for token in self.tokens[start:end])
        if not is_relation and self.step_over_qualifiers():
            self.qualifiers = (start, self.at)
            return self.operand(self.identifier)
        if is_relation or word in KEYWORDS:
            self.at = end
            self.qualifiers = None
            return Primitive(self.words(start, end), self.text(start, end))
        if self.qualifiers is None:
            raise FilterError(f"`{word}` is no pcap-filter primitive{nearest(word, KEYWORDS)}")
        return self.identifier()

    def end_of_primitive(self) -> int:
        """Where the next operator, or the end of the parenthesis around us, ends what begins here."""
        depth = 0
        for at in range(self.at, len(self.tokens)):
            word = self.tokens[at].text
            depth += {"(": 1, ")": -1}.get(word, 0)
            if depth < 0 or (depth == 0 and word in _OPERATORS):
                return at
        return len(self.tokens)

    def step_over_qualifiers(self) -> bool:
        """Go on behind `tcp dst port`, `src or dst`, ...; whether an identifier has to follow."""
        wants_identifier = False
        while (word := self.word()) in QUALIFIERS:
            wants_identifier |= word not in PROTOCOLS
            self.at += 1
            if word in KINDS:
                break
            if word in DIRECTIONS and self.word() in _OPERATORS and self.word(1) in DIRECTIONS:
                self.at += 1
        return wants_identifier

    def identifier(self) -> Primitive:
        """A name, number or address, together with the qualifiers that it has or inherits."""
        word, start = self.word(), self.at
        if word in KEYWORDS or word in _OPERATORS or word in ("", ")"):
            hint = f" (a name that is also a keyword is written `\\{word}`)" if word in KEYWORDS else ""
            raise FilterError(f"expected a name, number or address after `{self.before()}`{hint}")
        self.at = min(start + (3 if self.word(1) in ("/", "mask") else 1), len(self.tokens))
        assert self.qualifiers is not None
        return Primitive(
            self.words(*self.qualifiers) + self.words(start, self.at),
            f"{self.text(*self.qualifiers)} {self.text(start, self.at)}",
        )
