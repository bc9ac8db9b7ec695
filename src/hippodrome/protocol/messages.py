"""Every message that travels between processes, as typed records.

Rules of this file: plain values only; no behavior; nothing here opens a payload. A message is
encoded as a msgpack array whose first element is its tag; large payloads follow as frames of
their own, in the order in which the items that own them are listed. docs/protocol.md explains
each message frame by frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NewType

import msgspec

from hippodrome.protocol.ranges import Duration, Instant, Int, Name, Proof
from hippodrome.protocol.version import PROTOCOL as PROTOCOL

if TYPE_CHECKING:
    EngineId = NewType("EngineId", int)
    MsgId = NewType("MsgId", str)
    PeerId = NewType("PeerId", str)
else:  # for type checkers these are no types to make new ones of
    EngineId = NewType("EngineId", Int)
    MsgId = NewType("MsgId", Name)
    PeerId = NewType("PeerId", Name)
Digest = NewType("Digest", bytes)

START_UP, KERNEL = "start-up", "kernel"  # what an engine is engaged with
STARTING, TAKEN = "starting", "taken"  # what it then is, and one whose number another has
TUNNEL = "tunnel"  # the way of a peer whose connections something carries that may break
QUESTION = "question"  # for what a client comes that only asks, or stops the controller


class Record(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A part of a message."""


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False, tag_field="type"):
    """A message that one frame decodes to."""


# ---------------------------------------------------------------- parts


class Dependencies(Record, frozen=True):
    """Tasks that must have ended before this one starts (after), or where it must run (follow).

    ``success`` and ``failure`` say which outcomes count; ``all`` whether every one must.
    """

    msg_ids: list[MsgId]
    all: bool = True
    success: bool = True
    failure: bool = False


class Options(Record, frozen=True):
    """The wishes that a load-balanced task brings; left out when all are the default."""

    retries: Int = 0
    timeout_s: float | None = None
    after: Dependencies | None = None
    follow: Dependencies | None = None
    targets: list[EngineId] | None = None
    label: str = ""


class Task(Record, frozen=True, tag=1):
    """One request to call a function.

    ``payload`` is the pickled ``(args, kwargs)``. When it is empty, the first of the
    ``n_buffers`` frames that belong to this item is the pickle, the others its buffers.
    """

    msg_id: MsgId
    function: Digest
    payload: bytes
    n_buffers: Int = 0
    options: Options | None = None


class TaskBundle(Record, frozen=True, tag=2):
    """Several tasks without buffers that differ in nothing but their ids and arguments.

    ``payloads[i]`` is the pickled ``(args, kwargs)`` of the task ``msg_ids[i]``. They are tasks
    like any others; only their way is shared.
    """

    msg_ids: list[MsgId]
    function: Digest
    payloads: list[bytes]
    options: Options | None = None


class Attempt(Record, frozen=True, tag=1):
    """One sending of a task to an engine; the rest as in `Task`."""

    msg_id: MsgId
    attempt: Int
    function: Digest
    payload: bytes
    n_buffers: Int = 0


class AttemptBundle(Record, frozen=True, tag=2):
    """Attempts of several tasks, all of them number ``attempt``; the rest as in `TaskBundle`."""

    msg_ids: list[MsgId]
    attempt: Int
    function: Digest
    payloads: list[bytes]


class Failure(Record, frozen=True):
    """Why a task has no result.

    ``exception`` is the pickled original where there is one; only clients open it. ``item`` says
    which of a task's several elements it was about, counted from 0.
    """

    ename: str
    evalue: str
    traceback: str = ""
    exception: bytes = b""
    item: Int | None = None


class Display(Record, frozen=True):
    """Something other than text that a task showed, as the Jupyter protocol has it.

    ``kind`` is ``"display_data"``, ``"execute_result"``, ``"update_display_data"`` or
    ``"clear_output"``; ``content`` a JSON object, with ``data``, ``metadata`` and ``transient``
    for all but the last. It was shown after ``at`` others, and after ``stdout`` and ``stderr``
    characters of text.
    """

    kind: str
    content: bytes
    at: Int = 0
    stdout: Int = 0
    stderr: Int = 0


class CommMessage(Record, frozen=True):
    """A message that a widget of a task sends to a frontend, as the Jupyter protocol has it.

    ``kind`` is ``"comm_open"``, ``"comm_msg"`` or ``"comm_close"``; ``content`` a JSON object, with
    ``comm_id``, ``data``, ``metadata`` and ``engine``, and for the first ``target_name`` and
    ``target_module``. The task had sent ``at`` others before.
    """

    kind: str
    content: bytes
    buffers: list[bytes] = []
    at: Int = 0


class Cut(Record, frozen=True):
    """Where text is left out: after ``kept`` characters ``note`` are in place of ``dropped``."""

    kept: Int = 0
    dropped: Int = 0
    note: Int = 0


class Shown(Record, frozen=True):
    """The output that a task showed besides two short texts; most show none."""

    displays: list[Display] = []
    stdout_cut: Cut = Cut()
    stderr_cut: Cut = Cut()
    comms: list[CommMessage] = []


class Piece(Record, frozen=True):
    """Something that a running task has shown: text, or the display number ``at``.

    ``stream`` is ``"stdout"``, ``"stderr"``, ``"display"`` or ``"comm"``. ``at`` counts what this
    attempt has shown on it before; where it is more than what has come, the rest was left out.
    """

    msg_id: MsgId
    attempt: Int
    stream: str
    at: Int
    text: str = ""
    display: Display | None = None
    comm: CommMessage | None = None


class Datum(Record, frozen=True):
    """The latest value that a task has published under a name.

    ``payload`` and ``n_buffers`` as in `Task`, of the value's pickle.
    """

    msg_id: MsgId
    attempt: Int
    name: str
    payload: bytes
    n_buffers: Int = 0


class Outcome(Record, frozen=True, tag=1):
    """How one attempt ended on an engine.

    ``status`` is ``"ok"``, ``"error"``, ``"unmet"`` or ``"aborted"``; times are seconds of the
    engine's wall clock, and ``run_s`` is measured by a monotonic one. ``payload`` and ``n_buffers``
    as in `Task`.
    """

    msg_id: MsgId
    attempt: Int
    status: str
    started: Instant
    completed: Instant
    run_s: Duration
    payload: bytes = b""
    n_buffers: Int = 0
    failure: Failure | None = None
    stdout: str = ""
    stderr: str = ""
    shown: Shown | None = None


class OutcomeBundle(Record, frozen=True, tag=2):
    """Attempts that ended well, printed nothing, and returned what needs no buffers.

    Each list holds one item for each of ``msg_ids``, which came in one `AttemptBundle`, in the
    order in which they ended; items as in `Outcome`.
    """

    msg_ids: list[MsgId]
    attempt: Int
    started: list[Instant]
    run_s: list[Duration]
    payloads: list[bytes]


class Result(Record, frozen=True, tag=1):
    """How a task ended, for its client.

    ``status`` is ``"ok"``, ``"error"``, ``"aborted"``, ``"lost"``, ``"timeout"`` or
    ``"unreachable"``; ``engine`` is None when it never reached one.
    """

    msg_id: MsgId
    status: str
    engine: EngineId | None
    attempt: Int = 0
    started: Instant = 0.0
    completed: Instant = 0.0
    payload: bytes = b""
    n_buffers: Int = 0
    failure: Failure | None = None
    stdout: str = ""
    stderr: str = ""
    shown: Shown | None = None


class ResultBundle(Record, frozen=True, tag=2):
    """The results of tasks that ended as in an `OutcomeBundle`, for their client."""

    msg_ids: list[MsgId]
    engine: EngineId
    attempt: Int
    started: list[Instant]
    run_s: list[Duration]
    payloads: list[bytes]


class Fetched(Record, frozen=True):
    """The record of one task that answers the query ``"results"``.

    ``result`` is None before the task has ended. One that was forgotten, or whose buffers were
    not kept, has the status ``"expired"`` and a failure. Its buffers are frames of the answer.
    Times are seconds since the epoch.
    """

    msg_id: MsgId
    submitted: Instant = 0.0
    received: Instant = 0.0
    label: str = ""
    engine_uuid: PeerId = PeerId("")
    result: Result | None = None


class Recalled(Record, frozen=True):
    """The parts that submit a task again, in answer to the query ``"resubmission"``.

    The options are those that it had. ``pickle`` is its function's, None if it was not kept.
    Its buffers are frames of the answer.
    """

    task: Task
    queue: str
    pickle: bytes | None = None


class EngineInfo(Record, frozen=True):
    """Who an engine is."""

    engine: EngineId
    uuid: PeerId
    node: PeerId = PeerId("")
    host: str = ""
    pid: Int = 0
    state: str = "alive"
    python: str = ""
    version: str = ""
    ranks: Int = 0


class Pulse(Record, frozen=True):
    """The state that a supervisor reports of one engine: seconds in its task, 0.0 when idle."""

    uuid: PeerId
    busy_s: Duration
    closing: bool = False


class Death(Record, frozen=True):
    """How an engine process ended, as the operating system told its supervisor.

    ``started`` is the serial number of the last attempt that it had begun, so that attempts
    with a higher one are known never to have started. ``stderr`` holds its last lines.
    """

    uuid: PeerId
    exit_code: Int | None
    signal: Int | None
    started: Int
    expected: bool
    stderr: str = ""
    reason: str = ""


# ---------------------------------------------------------------- a connection's life; not numbered


class Hello(Message, frozen=True, tag="hello"):
    """A peer introduces itself, or resumes after its connection was replaced.

    ``role`` is ``"client"``, ``"engine"`` or ``"node"``; ``channel`` ``"task"`` or ``"control"``;
    ``number`` counts the introductions over this channel, so that a late one is known as such;
    ``received`` is the last message that it has of this stream, and ``session`` the number of
    the introduction at which the stream began: 0 if it has not begun yet. Only a controller that
    knows the stream by the same number may resume it. ``secret`` proves later that this is the
    same peer again; it is chosen with the uuid, and told to nobody but the controller.
    """

    protocol: Int
    role: str
    channel: str
    uuid: PeerId
    number: Int
    received: Int = 0
    info: dict[str, str | Int] = {}
    session: Int = 0
    secret: Proof = b""

    def __repr__(self) -> str:
        return f"Hello({self.role!r}, {self.channel!r}, {self.uuid!r}, {self.number})"


class Welcome(Message, frozen=True, tag="welcome"):
    """The answer to `Hello` ``number``.

    ``fresh`` tells that the controller did not know this peer, so that the stream starts at one
    in both directions; else ``received`` is the last message that the controller has of it.
    """

    number: Int
    received: Int
    fresh: bool
    info: dict[str, str | Int] = {}


class Refused(Message, frozen=True, tag="refused"):
    """The answer to a `Hello` that cannot be accepted; final.

    ``code`` is that of an error of ours: ``"protocol"``, ``"protocol_version"``,
    ``"authentication"``, ``"peer_in_use"`` or ``"full"``.
    """

    reason: str
    code: str = ""


class WhoAreYou(Message, frozen=True, tag="who"):
    """The controller got a message over a connection that has not introduced itself."""


class Sync(Message, frozen=True, tag="sync"):
    """Where a stream stands: highest number sent, last one received in order.

    ``resend`` asks for everything after ``received`` again.
    """

    sent: Int
    received: Int
    resend: bool = False


class Beat(Message, frozen=True, tag="beat"):
    """I am here. A supervisor adds the pulse of each of its engines.

    The controller says in how many seconds its next one comes: supervisors beat as often.
    """

    engines: list[Pulse] = []
    every_s: Duration = 0.0


class Maps(Message, frozen=True, tag="maps"):
    """From a client or engine, after a `Welcome` on its task channel: it may be sent references.

    It has found the segments that the welcome announces, so that it is on the controller's host.
    """


class Bye(Message, frozen=True, tag="bye"):
    """This side is leaving for good, and why; *failed* says that nobody asked it to."""

    reason: str = ""
    failed: bool = False


# ---------------------------------------------------------------- in place of large ones


class Part(Message, frozen=True, tag="part"):
    """A part of a message that is too large to leave as one. Frames: the next of its bytes.

    ``sizes`` are those of the frames of the whole, in bytes, and are listed in the first part only.
    """

    sizes: list[Int] = []


# ---------------------------------------------------------------- task channel


class Submit(Message, frozen=True, tag="submit"):
    """Load-balanced tasks. Frames: the listed functions' pickles, then each task's buffers."""

    tasks: list[Task | TaskBundle]
    functions: list[Digest] = []


class SubmitDirect(Message, frozen=True, tag="direct"):
    """One call for several named engines, its payload sent once.

    Frames: the listed functions' pickles, then the buffers.
    """

    msg_ids: list[MsgId]
    targets: list[EngineId]
    function: Digest
    payload: bytes
    n_buffers: Int = 0
    label: str = ""
    functions: list[Digest] = []


class Results(Message, frozen=True, tag="results"):
    """To a client. Frames: each result's buffers."""

    results: list[Result | ResultBundle]


class NeedFunctions(Message, frozen=True, tag="need"):
    """The sender does not have these functions (any more)."""

    digests: list[Digest]


class Functions(Message, frozen=True, tag="functions"):
    """The answer to `NeedFunctions`. Frames: one pickle for each digest."""

    digests: list[Digest]


class Flush(Message, frozen=True, tag="flush"):
    """To a client: answer over this channel, behind whatever has been submitted."""

    number: Int


class Flushed(Message, frozen=True, tag="flushed"):
    """The answer to `Flush`."""

    number: Int


class Assign(Message, frozen=True, tag="assign"):
    """To an engine. Serial numbers count up from ``first``, also within a bundle; attempts start
    in their order.

    Frames: the listed functions' pickles, then each attempt's buffers.
    """

    first: Int
    attempts: list[Attempt | AttemptBundle]
    functions: list[Digest] = []


class Outcomes(Message, frozen=True, tag="outcomes"):
    """From an engine. Frames: each outcome's buffers."""

    outcomes: list[Outcome | OutcomeBundle]


# ---------------------------------------------------------------- data channel


class Give(Message, frozen=True, tag="give"):
    """To whoever has an object: send its bytes from ``start`` to ``upto``, or to its end."""

    haul: Int
    name: Name
    start: Int
    upto: Int


class Slice(Message, frozen=True, tag="slice"):
    """From whoever has an object, and on to those who get it. Frame: its bytes from ``at`` on.

    ``haul`` is that of the `Give` which asked for it; ``size`` the whole object's, in bytes.
    """

    haul: Int
    name: Name
    at: Int
    size: Int


class Have(Message, frozen=True, tag="have"):
    """From whoever gets an object: it is here up to ``upto``."""

    haul: Int
    name: Name
    upto: Int


class Without(Message, frozen=True, tag="without"):
    """From whoever was to give or get an object: it is not here, and why."""

    haul: Int
    name: Name
    reason: str = ""


class Free(Message, frozen=True, tag="free"):
    """To whoever has objects, or parts of them: nobody needs them any more."""

    names: list[Name]


# ---------------------------------------------------------------- control channel


class Registered(Message, frozen=True, tag="registered"):
    """To an engine: its id, or that another has the one that it asked for."""

    engine: EngineId
    taken: bool = False


class Drop(Message, frozen=True, tag="drop"):
    """To an engine: do not start these attempts; ``interrupt`` the one of them that runs."""

    attempts: list[tuple[MsgId, Int]]
    interrupt: bool = False


class Engaged(Message, frozen=True, tag="engaged"):
    """From an engine: what it is busy with beside tasks; empty if nothing.

    ``what`` is ``"start-up"`` or ``"kernel"``. It is said after each `Registered`, and when it
    changes; an engine in its start-up says so in its introductions (``info["engaged"]``), too.
    """

    what: str = ""


class Dropped(Message, frozen=True, tag="dropped"):
    """From an engine: these attempts had not started and never will."""

    attempts: list[tuple[MsgId, Int]]


class Membership(Message, frozen=True, tag="membership"):
    """To a client: engines that are here now, and who left, and why; ``number`` counts changes."""

    present: list[EngineInfo]
    left: dict[EngineId, str] = {}
    number: Int = 0


class Abort(Message, frozen=True, tag="abort"):
    """From a client: these tasks must not start; None is everything that it submitted.

    ``interrupt`` asks for a KeyboardInterrupt in those that run.
    """

    msg_ids: list[MsgId] | None = None
    interrupt: bool = False


class Output(Message, frozen=True, tag="output"):
    """From an engine, and on to clients: what running tasks show.

    It is for people who look on, and some of it may be left out: a result brings everything.
    Clients are told which ``engine`` it is.
    """

    pieces: list[Piece]
    engine: EngineId | None = None


class Published(Message, frozen=True, tag="published"):
    """From an engine, and on to clients: what tasks publish. Buffers: those of each of ``data``.

    ``final`` tells that their outcomes follow, so that none of this may be left out.
    """

    data: list[Datum]
    final: bool = False


class Query(Message, frozen=True, tag="query"):
    """From a client: a question to the hub by name; ``arguments`` is a msgpack map."""

    number: Int
    name: str
    arguments: bytes = b"\x80"


class Answer(Message, frozen=True, tag="answer"):
    """To a client: the answer to query ``number``: a msgpack value, or what went wrong.

    One that has frames comes over the task channel.
    """

    number: Int
    value: bytes = b""
    error: Failure | None = None


class Exited(Message, frozen=True, tag="exited"):
    """From a supervisor: an engine process ended."""

    death: Death


class Signal(Message, frozen=True, tag="signal"):
    """To a supervisor: deliver a signal to these engines."""

    uuids: list[PeerId]
    signum: Int


class Stop(Message, frozen=True, tag="stop"):
    """To a supervisor: stop these engines; None is all of them, and then itself."""

    uuids: list[PeerId] | None = None


# ---------------------------------------------------------------- between scheduler and hub


class QueueState(Record, frozen=True):
    """The msg_ids that the scheduler holds: per engine, direct and balanced, and unassigned."""

    direct: dict[EngineId, list[MsgId]]
    tasks: dict[EngineId, list[MsgId]]
    unassigned: list[MsgId]


class Workload(Record, frozen=True):
    """How much the scheduler holds: tasks per engine, direct and load-balanced, and the rest."""

    direct: dict[EngineId, Int]
    tasks: dict[EngineId, Int]
    unassigned: Int
    clients: Int


class Listening(Message, frozen=True, tag="listening"):
    """To the hub: the endpoint is open; ``port`` is that of its TCP address, 0 without one."""

    port: Int


class EngineArrived(Message, frozen=True, tag="arrived"):
    """To the hub: an engine has introduced itself on both channels."""

    uuid: PeerId
    info: dict[str, str | Int]


class Engages(Message, frozen=True, tag="engages"):
    """To the hub: an engine said what it is busy with beside tasks; see `Engaged`."""

    uuid: PeerId
    what: str


class Pulses(Message, frozen=True, tag="pulses"):
    """To the hub: a supervisor beats."""

    node: PeerId
    engines: list[Pulse]


class Awake(Message, frozen=True, tag="awake"):
    """To the hub: the scheduler runs, once a second; without it nobody else can be heard."""


class Departed(Message, frozen=True, tag="departed"):
    """To the hub: an engine process ended, or said good-bye."""

    death: Death


class NodeCame(Message, frozen=True, tag="node_came"):
    """To the hub: a supervisor has introduced itself."""

    node: PeerId
    info: dict[str, str | Int]


class NodeGone(Message, frozen=True, tag="node_gone"):
    """To the hub: a supervisor said good-bye, or its connection closed and stayed closed."""

    node: PeerId
    reason: str


class Asked(Message, frozen=True, tag="asked"):
    """To the hub: a client's query.

    Frame, for ``"queue_status"`` and ``"engine_states"``: a msgpack `QueueState`; for
    ``"status"``: a `Workload`.
    """

    client: PeerId
    query: Query


class Submitted(Message, frozen=True, tag="submitted"):
    """To the hub: tasks were accepted.

    Frames: the `Submit` or `SubmitDirect` as it came, then either nothing or its buffers. Those
    whose places are ``omitted`` are too large to be kept, for those that are ``crowded`` too much
    was on its way already, and those that are ``passing`` go from host to host; all are empty.
    """

    client: PeerId
    omitted: list[Int] = []
    crowded: list[Int] = []
    passing: list[Int] = []


class Ended(Message, frozen=True, tag="ended"):
    """To the hub: tasks ended. Frames: the `Results` as it was sent; the rest as in `Submitted`."""

    client: PeerId
    omitted: list[Int] = []
    crowded: list[Int] = []
    passing: list[Int] = []


class Taken(Message, frozen=True, tag="taken"):
    """From the hub: so much of the large buffers it has been sent is on its way no more."""

    size_bytes: Int


class Joined(Message, frozen=True, tag="joined"):
    """From the hub: an engine has its number, and is a member from now on, or again.

    ``"starting"``: it has its number only; ``"taken"``: another has the one it asked for.
    """

    info: EngineInfo


class Suspected(Message, frozen=True, tag="suspected"):
    """From the hub: an engine has been silent; give it no new work (``False``: it is back)."""

    engine: EngineId
    suspect: bool
    closing: bool = False


class Left(Message, frozen=True, tag="left"):
    """From the hub: an engine is no member any more.

    ``started`` is the serial of the last attempt known to have begun, None if nobody knows.
    ``final`` tells that the process is gone, so that it will not come back.
    """

    engine: EngineId
    reason: str
    started: Int | None
    final: bool


class Changed(Message, frozen=True, tag="changed"):
    """From the hub: changes of members that came about together, in their order."""

    changes: list[Joined | Suspected | Left]


class Answered(Message, frozen=True, tag="answered"):
    """From the hub: the answer to a client's query."""

    client: PeerId
    answer: Answer


class Order(Message, frozen=True, tag="order"):
    """From the hub: pass `Stop` or `Signal` on to a supervisor."""

    node: PeerId
    stop: Stop | None = None
    signal: Signal | None = None


class ShutDown(Message, frozen=True, tag="shut_down"):
    """From the hub: fail what is outstanding, say good-bye to everyone, and end."""

    reason: str
    failed: bool = False


class ShutDownDone(Message, frozen=True, tag="shut_down_done"):
    """To the hub: everyone has been told."""


PeerMessage = (
    Hello | Welcome | Refused | WhoAreYou | Sync | Beat | Maps | Bye | Part
    | Submit | SubmitDirect | Results | NeedFunctions | Functions | Flush | Flushed
    | Assign | Outcomes | Give | Slice | Have | Without | Free
    | Registered | Drop | Engaged | Dropped | Output | Published | Membership | Abort | Query
    | Answer | Exited | Signal | Stop
)  # fmt: skip
HubMessage = (
    Listening | Awake | EngineArrived | Engages | Pulses | Departed | NodeCame | NodeGone | Asked
    | Submitted | Ended | Taken | Joined | Suspected | Left | Changed | Answered | Order | ShutDown
    | ShutDownDone
)  # fmt: skip
UNNUMBERED = (Hello, Welcome, Refused, WhoAreYou, Sync, Beat, Maps)
