"""pcap-filter(7) expressions as trees, read as libpcap's grammar.y reads them.

`and` and `or` have equal precedence and associate to the left; `not` binds tightest; an identifier
without qualifiers takes those of the primitive before it (`port 80 or 443`). Each primitive of the tree
carries its qualifiers, so that any piece of the tree can be printed and compiled on its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from meshlens.filters.errors import FilterError, nearest
from meshlens.filters.tokens import DIRECTIONS, KEYWORDS, KINDS, PROTOCOLS, QUALIFIERS, tokenize

__all__ = ["Chain", "Node", "Not", "Primitive", "parse", "primitives", "to_text"]

#: Parentheses inside parentheses; libpcap's own parser gives up at about 2,500.
MAX_DEPTH = 150

_OPERATORS = {"and": "and", "&&": "and", "or": "or", "||": "or"}
_NEGATIONS = ("not", "!")
_ARITHMETIC = frozenset("= == != < > <= >= + - * / % & | ^ << >> [".split())


@dataclass(frozen=True, slots=True)
class Primitive:
    """A test that stands alone: its words, and the text libpcap is to read."""

    words: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Chain:
    """`first op1 x1 op2 x2 …`, evaluated from the left: `((first op1 x1) op2 x2) …`."""

    first: "Node"
    rest: tuple[tuple[str, "Node"], ...]


Node = Primitive | Not | Chain


def parse(expression: str) -> Node:
    """The tree of a non-empty expression; FilterError when libpcap would not read it either."""
    parser = _Parser(expression)
    node = parser.chain()
    if parser.word() is not None:
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
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = tokenize(expression)
        self.at = 0
        self.depth = 0
        #: What an identifier without qualifiers inherits: the words before the last identifier.
        self.qualifiers: tuple[int, int] | None = None

    def word(self, ahead: int = 0) -> str | None:
        at = self.at + ahead
        return self.tokens[at].text if at < len(self.tokens) else None

    def before(self) -> str:
        return self.text(max(0, self.at - 3), self.at)

    def text(self, first: int, last: int) -> str:
        return self.expression[self.tokens[first].start : self.tokens[last - 1].end] if last > first else ""

    def words(self, first: int, last: int) -> tuple[str, ...]:
        return tuple(token.text for token in self.tokens[first:last])

    def chain(self) -> Node:
        first = self.operand()
        rest = []
        while operator := _OPERATORS.get(self.word() or ""):
            self.at += 1
            rest.append((operator, self.operand()))
        return Chain(first, tuple(rest)) if rest else first

    def operand(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FilterError(f"parentheses are nested more than {MAX_DEPTH} deep")
        if self.word() in _NEGATIONS:
            self.at += 1
            node: Node = Not(self.operand())
        elif self.word() == "(" and not self.is_arithmetic_parenthesis():
            node = self.group()
        else:
            node = self.primitive()
        self.depth -= 1
        return node

    def group(self) -> Node:
        qualifiers = self.qualifiers  # grammar.y: a closing parenthesis restores what stood before the opening one
        self.at += 1
        node = self.chain()
        if self.word() != ")":
            raise FilterError(f"missing `)` after `{self.before()}`")
        self.at += 1
        self.qualifiers = qualifiers
        return node

    def is_arithmetic_parenthesis(self) -> bool:
        """Whether the parenthesis here belongs to a number: `(ip[0] & 0xf) != 5`."""
        depth = 0
        for at in range(self.at, len(self.tokens)):
            depth += {"(": 1, ")": -1}.get(self.tokens[at].text, 0)
            if depth == 0:
                return at + 1 < len(self.tokens) and self.tokens[at + 1].text in _ARITHMETIC
        return False

    def primitive(self) -> Node:
        word = self.word()
        if word is None or word == ")" or word in _OPERATORS:
            raise FilterError(f"expected a primitive after `{self.before()}`" if self.at else "empty expression")
        end = self.end_of_primitive()
        start = self.at
        if any(token.text in _ARITHMETIC - {"/"} for token in self.tokens[start:end]):
            return self.take(end)
        if self.take_qualifiers():
            self.qualifiers = (start, self.at)
            return self.identifier()
        if self.at == start and word not in KEYWORDS:
            return self.inherited_identifier(word)
        return self.take(max(end, self.at), start)

    def end_of_primitive(self) -> int:
        """Where the next boolean operator, or the parenthesis around us, ends what begins here."""
        depth = 0
        for at in range(self.at, len(self.tokens)):
            word = self.tokens[at].text
            depth += {"(": 1, ")": -1}.get(word, 0)
            if depth < 0 or (depth == 0 and word in _OPERATORS):
                return at
        return len(self.tokens)

    def take(self, end: int, start: int | None = None) -> Primitive:
        start = self.at if start is None else start
        self.at = end
        self.qualifiers = None
        return Primitive(self.words(start, end), self.text(start, end))

    def take_qualifiers(self) -> bool:
        """Step over qualifiers; whether an identifier must follow them."""
        wants_identifier = False
        while (word := self.word()) in QUALIFIERS:
            wants_identifier |= word not in PROTOCOLS
            self.at += 1
            if word in DIRECTIONS and self.word() in _OPERATORS and self.word(1) in DIRECTIONS:
                self.at += 1  # `src or dst`
        return wants_identifier

    def identifier(self) -> Node:
        word = self.word()
        if word in _NEGATIONS:
            self.at += 1
            return Not(self.identifier())
        if word == "(":
            return self.group()
        if word is None or word in KEYWORDS or word == ")" or word in _OPERATORS:
            hint = f" (a name that is also a keyword is written `\\{word}`)" if word in KEYWORDS else ""
            raise FilterError(f"expected a name, number or address after `{self.before()}`{hint}")
        assert self.qualifiers is not None
        start = self.at
        self.at += 3 if self.word(1) in ("/", "mask") else 1
        self.at = min(self.at, len(self.tokens))
        return Primitive(
            self.words(*self.qualifiers) + self.words(start, self.at),
            f"{self.text(*self.qualifiers)} {self.text(start, self.at)}",
        )

    def inherited_identifier(self, word: str) -> Node:
        if self.qualifiers is None:
            raise FilterError(f"`{word}` is no pcap-filter primitive{nearest(word, sorted(KEYWORDS))}")
        return self.identifier()
