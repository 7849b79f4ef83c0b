"""Numbers and times as people read them; exact ones are in the JSON."""

from datetime import UTC, datetime
from decimal import Decimal

from opensqt.core.numbers import EXACT, round_to

NOT_ENOUGH = "not enough data"


def money(amount: Decimal | float) -> str:
    """An amount, with as many digits as it takes to see something."""
    number = Decimal(amount) if isinstance(amount, float) else amount
    size = abs(number)
    if size >= 1 or not size:
        return f"{round_to(number, Decimal('0.01')):,.2f}"
    if size >= Decimal("0.01"):
        return f"{round_to(number, Decimal('0.0001')):,.4f}"
    return f"{round_to(number, Decimal('1e-8')):,.8f}"


def signed(amount: Decimal | float) -> str:
    """An amount with its sign."""
    return ("+" if amount > 0 else "") + money(amount)


def quantity(number: Decimal) -> str:
    """A quantity or price, without needless zeros."""
    text = format(EXACT.plus(number), ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float | None, digits: int = 2) -> str:
    """A share in percent."""
    return NOT_ENOUGH if share is None else f"{share * 100:,.{digits}f} %"


def ratio(number: float | None, digits: int = 2) -> str:
    """A ratio."""
    return NOT_ENOUGH if number is None else f"{number:,.{digits}f}"


def utc(time_ns: int, *, seconds: bool = False) -> str:
    """A time, UTC."""
    time = datetime.fromtimestamp(time_ns // 10**9, tz=UTC)
    return time.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def days(number: float) -> str:
    """A span of days, in the unit that fits."""
    if number >= 2:
        return f"{number:,.1f} days"
    hours = number * 24
    return f"{hours:,.1f} hours" if hours >= 2 else f"{hours * 60:,.1f} minutes"
