"""Small mistakes that somebody could make in the Lua scripts; each must be found by a scenario."""

from dataclasses import dataclass

from store.db import script


@dataclass(frozen=True)
class Mutant:
    """A script in which `old` has become `new`."""

    name: str
    script: str
    old: str
    new: str

    @property
    def text(self) -> str:
        """The script with the mistake in it."""
        original = script(self.script)[0]
        assert original.count(self.old) == 1, (
            f"{self.name}: {self.old!r} is there {original.count(self.old)} times"
        )
        return original.replace(self.old, self.new)


MUTANTS = (
    Mutant("no-lookup", "checkout", "if before[2] then", "if false then"),
    Mutant("fingerprint-ignored", "checkout", "if before[1] ~= fingerprint", "if false"),
    Mutant("fingerprint-not-kept", "checkout", "'fp', fingerprint,", "'fp', '',"),
    Mutant("stock-not-checked", "checkout", "if available < quantity then", "if false then"),
    Mutant("stock-off-by-one-more", "checkout",
           "if available < quantity then", "if available + 1 < quantity then"),
    Mutant("stock-off-by-one-less", "checkout",
           "if available < quantity then", "if available <= quantity then"),
    Mutant("stock-not-taken", "checkout", "redis.call('HINCRBY', stock, sku, -quantities[sku])", ""),
    Mutant("stock-takes-one", "checkout", "sku, -quantities[sku])", "sku, -1)"),
    Mutant("cart-not-emptied", "checkout", "redis.call('HDEL', cart, sku)", ""),
    Mutant("cart-etag-not-moved", "checkout", "(tonumber(count) or 0) + 1)", "(tonumber(count) or 0))"),
    Mutant("retired-is-sold", "checkout", "if item.retired then available = 0 end", ""),
    Mutant("total-not-compared", "checkout", "if ARGV[6] ~= '' and ARGV[6] ~= sum", "if false"),
    Mutant("cart-not-compared", "checkout", "if ARGV[7] ~= '' and ARGV[7] ~= revision", "if false"),
    Mutant("price-of-one", "checkout",
           "local cents = item.price_cents * quantity", "local cents = item.price_cents"),
    Mutant("no-ledger-lines", "checkout", "table.concat(sold, ','), 'total'", "'', 'total'"),
    Mutant("not-listed", "checkout", "redis.call('ZADD', mine, number, id)", ""),
    Mutant("empty-is-an-order", "checkout", "if #skus == 0 then return {'empty'} end", ""),
    Mutant("restocks-twice", "order_move", "if status == wanted then return reply('same') end", ""),
    Mutant("cancel-any", "order_move", "cancelled = {placed = true, paid = true}",
           "cancelled = {placed = true, paid = true, shipped = true, cancelled = true}"),
    Mutant("no-restock", "order_move", "redis.call('HINCRBY', stock, line.sku, line.quantity)", "local _"),
    Mutant("refund-forgotten", "order_move", "redis.call('HSET', order, 'refund_due', '1')", ""),
    Mutant("move-operation-ignored", "order_move", "if held[3] == operation", "if false"),
    Mutant("cart-operation-ignored", "cart_change", "if before then return cjson.decode(before) end", ""),
    Mutant("cart-operation-not-kept", "cart_change",
           "redis.call('SET', operation, cjson.encode(reply), 'PX', 60000)", ""),
    Mutant("add-sets", "cart_change", "if mode == 'add' then quantity = quantity + (held[sku] or 0) end", ""),
    Mutant("if-match-ignored", "cart_change", "expected ~= (revision or '0') then", "false then"),
    Mutant("etag-stands-still", "cart_change", "((tonumber(number) or 0) + 1)", "1"),
    Mutant("100-pieces", "cart_change", "if quantity > 99", "if quantity > 100"),
    Mutant("51-lines", "cart_change", "count >= 50", "count >= 51"),
    Mutant("token-taken-up", "cart_change", "if redis.call('HLEN', session) == 0 then", "if sid == '' then"),
    Mutant("remove-makes-a-session", "cart_change", "if made == 1 then return {'no-cart'} end", ""),
    Mutant("sessions-unbounded", "cart_change",
           "if redis.call('ZCARD', sessions) >= tonumber(ARGV[4])", "if false"),
    Mutant("places-not-freed", "cart_change", "redis.call('ZREMRANGEBYSCORE', sessions, '-inf', now)", ""),
    Mutant("cart-outlives-session", "cart_change", "redis.call('PEXPIRE', cart, left)", ""),
    Mutant("never-renewed", "cart_read", "< ttl * 0.9", "< 0"),
    Mutant("always-renewed", "cart_read", "< ttl * 0.9", "< ttl * 2"),
    Mutant("stock-operation-ignored", "stock_change", "if before then", "if false then"),
    Mutant("stock-below-nothing", "stock_change", "if after < 0 or", "if"),
    Mutant("set-adjusts", "stock_change", "ARGV[2] == 'set' and amount - held or amount", "amount"),
    Mutant("catalog-resets-stock", "catalog_apply",
           "if not redis.call('HGET', stock, sku) then", "if true then"),
    Mutant("catalog-always-applied", "catalog_apply", "if held == revision", "if false"),
    Mutant("second-writer-wins", "catalog_apply", "if held and ARGV[3] == '1'", "if false"),
    Mutant("half-unguarded", "catalog_apply", "if retired * 2 > active and ARGV[4] ~= '1'", "if false"),
)  # fmt: skip

CONTROLS = {
    # Negative controls for a proof against a running store: mount one of these over lua/checkout.lua.
    "duplicates": (("if before[2] then", "if false then"),),
    "oversold": (
        (
            "if available < quantity then",
            "if redis.call('EXISTS', 'checked:' .. id) == 0 and available < quantity then",
        ),
        (
            "if #short > 1 then return short end",
            "if #short > 1 then return short end\n"
            "if redis.call('INCR', 'checked:' .. id) < 4 then\n"
            "  return redis.error_reply('TRYAGAIN decrement in a second call')\n"
            "end",
        ),
    ),
}


def control(name: str) -> str:
    """`checkout.lua` with one protection taken away, for a control that must fail."""
    text = script("checkout")[0]
    for old, new in CONTROLS[name]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text
