/** Planted bugs of the flusher and wire: who sends what when, and what an answer means. */
import { byTest, type PlantedBug } from "./layer.ts"

export const flusherBugs: readonly PlantedBug[] = [
  {
    patch: "acked-told-before-it-is-settled",
    wrong: "the host is told of an Ack before it is written down",
    caughtBy: byTest(
      "flusher/lease",
      "a holder whose lease was taken over settles nothing, stops, and gets its turn again",
    ),
  },
  {
    patch: "settle-by-the-cursor",
    wrong: "a batch counts as applied once the server's cursor has passed its place",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "4: an op at the place of an op that was lost with the file is no duplicate of it",
    ),
  },
  {
    patch: "duplicates-taken-as-success",
    wrong: "an answer of duplicates settles the batch without a look at which ops it names",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "16: a duplicate of a rejected op is rejected, and an answer that lists it twice settles nothing",
    ),
  },
  {
    patch: "settle-past-a-refusal",
    wrong: "an Ack behind a refusal of the same POST settles, and the refused batch is passed over",
    caughtBy: byTest(
      "scenario/divergence",
      "an ack behind a refusal settles nothing: the op before it would be passed over with an outcome that nobody knows",
    ),
  },
  {
    patch: "gap-taken-as-server-reset",
    wrong: "a register that moved is taken for a server that lost data",
    caughtBy: byTest("flusher/flush", "gap: the register is the base, and the same batches go again at once"),
  },
  {
    patch: "gap-does-not-move-the-base",
    wrong: "after a gap the same batches are sent for the same register again",
    caughtBy: byTest(
      "flusher/verdict",
      "a refused batch > gap stores the register as base, and a head that nobody here knows makes a twin",
    ),
  },
  {
    patch: "twin-not-noticed",
    wrong: "a head that this outbox does not know is none of its business",
    caughtBy: byTest(
      "flusher/resync",
      "a twin: the host is told once everything pending is settled, and what it records is written again",
    ),
  },
  {
    patch: "dead-letter-on-unknown-outcome",
    wrong: "an op at which the service fails is buried, although it may have been applied",
    caughtBy: byTest("flusher/narrow", "content > after as many as the limit a single unit blocks"),
  },
  {
    patch: "other-service-not-noticed",
    wrong: "a lost share is created again at whatever service answers at the address",
    caughtBy: byTest("flusher/removal", "another service at the same address gets no batch, and blocks the stream"),
  },
  {
    patch: "share-created-once-only",
    wrong: "createShare is not repeated when the answer to the first was lost",
    caughtBy: byTest(
      "flusher/flush",
      "createShare is repeated until a Grant is received, and the share is created once",
    ),
  },
  {
    patch: "answer-overrides-unblock",
    wrong: "the answer to a POST with the old secret blocks the stream that has a new one",
    caughtBy: byTest(
      "flusher/block",
      "unblock > while a POST with the old secret is out: its refusal does not block the stream that has a new one",
    ),
  },
  {
    patch: "removal-not-repeated-after-a-loss",
    wrong: "a server that lost its data is not told again which shares were removed",
    caughtBy: byTest(
      "scenario/protocol-traces-2",
      "removal: a tombstone lost in a rollback is set again when another stream meets the reset",
    ),
  },
  {
    patch: "resync-debt-forgotten",
    wrong: "nobody remembers that the host is to record its state again",
    caughtBy: byTest("flusher/resync", "the stream stands until the hook has resolved"),
  },
  {
    patch: "retry-after-ignored",
    wrong: "the delay that a server asks for is not waited for",
    caughtBy: byTest("flusher/retry", "Retry-After as a date counts from the wall clock"),
  },
  {
    patch: "unblock-forgets-retry-after",
    wrong: "who lifts a block asks at once, whatever a probe was told",
    caughtBy: byTest(
      "flusher/retry-after",
      "unblock() > does not forget the Retry-After that a probe was told, and then waits for nothing more",
    ),
  },
  {
    patch: "overtaken-answer-forgets-retry-after",
    wrong: "of an answer that came after unblock() not even the Retry-After is heard",
    caughtBy: byTest(
      "flusher/retry-after",
      "unblock() > while a probe is out that is told a Retry-After: it is waited for",
    ),
  },
  {
    patch: "removal-waits-for-a-probe",
    wrong: "a removal waits for the next probe of the block that it lifts, up to the longest backoff",
    caughtBy: byTest(
      "flusher/removal",
      "a removal does not wait for the next probe of the block that it lifts, whatever the last one met",
    ),
  },
  {
    patch: "jitter-off",
    wrong: "all clients of a server that restarts come back in the same instant",
    caughtBy: byTest(
      "flusher/retry",
      "delays double up to the cap and stay within the bounds, wherever the jitter falls",
    ),
  },
  {
    patch: "jitter-lost-at-the-cap",
    wrong: "at its cap the delay is the cap itself",
    caughtBy: byTest("intent/backoff", "the delay is also random at the cap, over the whole range"),
  },
  {
    patch: "backoff-reset-by-restart",
    wrong: "a process that starts sends at once, whatever the last one was told",
    caughtBy: byTest(
      "flusher/retry",
      "attempts and the time of the next survive the process: a restart does not hammer",
    ),
  },
  {
    patch: "two-requests-in-flight",
    wrong: "each look starts every stream that has work, also one that is at it",
    caughtBy: byTest("flusher/flush", "while an answer is awaited nothing else is sent on the stream"),
  },
  {
    patch: "html-accepted",
    wrong: "the page of a captive portal is read as an answer of the service",
    caughtBy: byTest("wire/session", 'a 200 of type "text/html" is not, whatever it says'),
  },
  {
    patch: "redirect-followed",
    wrong: "the POST, with the secret in it, is sent on to another origin",
    caughtBy: byTest("wire/network-fault", "N22: a 307 to another origin: the other sees no request and no connection"),
  },
  {
    patch: "cut-answer-taken-as-whole",
    wrong: "a line that was cut is left out as if it had not been there",
    caughtBy: byTest(
      "wire/network-fault",
      "N7: an answer without a length that is cut within its first line answers nothing",
    ),
  },
  {
    patch: "secret-in-an-error",
    wrong: "an error of a peer that echoes the secret is passed on as it is",
    caughtBy: byTest(
      "inspect/event",
      "a peer that echoes the secret in its errors, refusals and rejections does not bring it into an event",
    ),
  },
  {
    patch: "removal-done-by-anothers-word",
    wrong: "a removal counts as done when another service says that it knows no such share",
    caughtBy: byTest(
      "flusher/removal",
      "a removal that another service answers stands, and goes on at the service to which the share belongs",
    ),
  },
  {
    patch: "fallback-on-a-missing-key",
    wrong: "a gateway that wants a key is a reason to speak another protocol",
    caughtBy: byTest("wire/protocol", "who wants a key is not asked in another protocol"),
  },
  {
    patch: "created-share-forgotten",
    wrong: "the id and secret of a share that was created are lost with the attempt that was given up after it",
    caughtBy: byTest(
      "opencode/legacy-rest",
      "a share whose process ended between create and sync is known to the next",
    ),
  },
  {
    patch: "create-before-the-grant",
    wrong: "a create of our form is posted to a server of which nobody knows what it is",
    caughtBy: byTest("wire/http-json", "opencode's own service never sees a create of our form"),
  },
  {
    patch: "rotation-sent-before-it-is-durable",
    wrong: "a new secret is sent that a power loss can take from here, and then nobody has it",
    caughtBy: byTest("flusher/rotate", "rotate > the new secret is stored, and survives power loss, before it is sent"),
  },
  {
    patch: "next-secret-forgotten-with-the-answer",
    wrong: "a rotation that brought no answer is taken for one that the service has not seen",
    caughtBy: byTest(
      "flusher/rotate",
      "a rotation whose answer is lost > is ended by repeating it: no second rotation",
    ),
  },
  {
    patch: "revoked-by-our-own-rotation-blocks",
    wrong: "a stream whose old secret was revoked stands, although the new one is stored beside it",
    caughtBy: byTest(
      "flusher/rotate",
      "while a POST with the old secret is out > and is refused before the rotation has its answer: the new one is tried, and the answer changes nothing",
    ),
  },
]
