"""Views for calls that go to many engines at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from hippodrome.briefly import brief_methods
from hippodrome.client.views.direct import DirectView
from hippodrome.client.views.flags import FlagValues

if TYPE_CHECKING:
    from hippodrome.client.client import Client


@brief_methods()
class BroadcastView(DirectView):
    """Calls functions on the engines that there were when it was made.

    Its calls are those of a `DirectView`: the payload travels to the controller once, and results
    that are ready together come back together. Each engine's result and error is its own, in the
    order of the targets.

    Args:
        client: whose engines.
        targets: which; ``"all"`` is those that there are now.
        is_coalescing: accepted; results come together as they are ready, in either case.
        **flags: as for `DirectView`.

    >>> bv = rc.broadcast_view()
    >>> bv.apply_sync(pow, 2, 5)
    [32, 32]
    """

    def __init__(
        self,
        client: Client,
        targets: Any = "all",
        is_coalescing: bool = False,
        **flags: Unpack[FlagValues],
    ) -> None:
        engines = client._engines_of(client._checked_targets(targets))
        super().__init__(client, [int(engine) for engine in engines], **flags)
        self.is_coalescing = is_coalescing
