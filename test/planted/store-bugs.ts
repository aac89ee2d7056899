/** Planted bugs of the store: what is on disk, and in which transaction. */
import { byTest, type PlantedBug } from "./layer.ts"

export const storeBugs: readonly PlantedBug[] = [
  {
    patch: "removal-overtakes-nothing",
    wrong: "what is pending is sent although the share is being removed",
    caughtBy: byTest("flusher/removal", "a batch frozen before the removal is not sent after it"),
  },
  {
    patch: "secret-in-a-conflict",
    wrong: "the error of a stream that exists names what differs, the secret too",
    caughtBy: byTest("store/record", "streams > no secret stands in an error of a stream"),
  },
  {
    patch: "block-forgotten-at-restart",
    wrong: "a process that starts clears the blocks and asks the service again",
    caughtBy: byTest("flusher/removal", "a block outlives the process"),
  },
  {
    patch: "retry-with-a-new-op-id",
    wrong: "each attempt after the first carries fresh op_ids",
    caughtBy: byTest("flusher/flush", "an attempt that failed is made again with the same batch and the same text"),
  },
  {
    patch: "dead-letter-retried-under-a-random-id",
    wrong: "two copies that retry one dead letter send two ops",
    caughtBy: byTest(
      "scenario/dead-letter",
      "two copies of one outbox that both retry record the same ops, and each is applied once",
    ),
  },
  {
    patch: "deferred-transaction",
    wrong: "a transaction takes the write lock at its first write, and may then fail for good",
    caughtBy: byTest(
      "store/fault",
      "a transaction > takes the write lock at its beginning, so that it cannot fail with BUSY_SNAPSHOT after a read",
    ),
  },
  {
    patch: "async-transaction",
    wrong: "a transaction commits at the first await of its body",
    caughtBy: byTest("store/fault", "a transaction > whose body returns a promise is refused and rolled back"),
  },
  {
    patch: "indeterminate-not-said",
    wrong: "a COMMIT that failed after its write is told as if nothing had been written",
    caughtBy: byTest(
      "store/fault",
      "a COMMIT that throws > for a write error of the disk is indeterminate, and the same handle goes on when the disk does",
    ),
  },
  {
    patch: "unit-recorded-op-by-op",
    wrong: "each op of a unit is committed alone",
    caughtBy: byTest(
      "store/fault",
      "a full disk > in the middle of a unit: disk_full, nothing of the unit is there, nothing went on in autocommit",
    ),
  },
  {
    patch: "freeze-after-sending",
    wrong: "a batch is written down as frozen when its answer is there",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "18: an op that died with its process at flush:before-post is frozen: a newer op of its key goes behind it",
    ),
  },
  {
    patch: "coalesce-a-frozen-op",
    wrong: "an op that may have been sent is replaced by a newer one of its key",
    caughtBy: byTest("store/coalesce", "an op is not replaced > once it is frozen"),
  },
  {
    patch: "coalesce-across-a-dependency",
    wrong: "an op is replaced although another one depends on it",
    caughtBy: byTest("store/coalesce", "an op is not replaced > if an op depends on one that it superseded"),
  },
  {
    patch: "coalesce-what-the-new-op-depends-on",
    wrong: "an op replaces the one that it depends on itself",
    caughtBy: byTest(
      "scenario/protocol-traces-2",
      "chain rule: an op that depends on the op of its key does not replace it",
    ),
  },
  {
    patch: "coalesce-across-streams",
    wrong: "the same key in two streams is one key",
    caughtBy: byTest(
      "store/coalesce",
      "an op is not replaced > by an op of another stream, although what is known of its own was read first",
    ),
  },
  {
    patch: "supersedes-names-the-last-only",
    wrong: "an op names the one that it replaced, not those that that one had replaced",
    caughtBy: byTest(
      "store/coalesce",
      "an op with the key of an unfrozen op > also names those that the replaced one had replaced",
    ),
  },
  {
    patch: "replacement-takes-the-old-place",
    wrong: "a newer op is sent at the place of the one that it replaces, before what was recorded between them",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "19: an op that replaces an older one takes the last place: what was recorded between them comes first",
    ),
  },
  {
    patch: "late-capture-overwrites-newer-state",
    wrong: "an event that a catch-up brings late is recorded as if it were news",
    caughtBy: byTest(
      "store/capture",
      "a stale op > notes its captureId, records nothing, and the op of the newer state stands for it",
    ),
  },
  {
    patch: "capture-remembered-before-the-record",
    wrong: "what was captured is noted in a transaction before the one that records it",
    caughtBy: byTest("store/capture", "a captureId > of a unit that was rolled back is not remembered"),
  },
  {
    patch: "seq-used-again-after-pruning",
    wrong: "the next place is counted from what is still in the table",
    caughtBy: byTest(
      "store/traps",
      "trap 13: identity > a seq is never used twice, also after everything was settled, pruned and reopened",
    ),
  },
  {
    patch: "lease-without-term",
    wrong: "a lease is held by whoever finds one that has not been given back",
    caughtBy: byTest("store/lease", "the lease > is free when its time has passed, and the late holder is fenced"),
  },
  {
    patch: "settle-without-the-lease",
    wrong: "who has an Ack writes it down, overtaken or not",
    caughtBy: byTest("store/settle", "settling > changes nothing with a lease that was lost (I9)"),
  },
  {
    patch: "wall-clock-lease",
    wrong: "only the wall clock says when a lease has expired",
    caughtBy: byTest(
      "store/lease",
      "the lease > is taken over after being watched unchanged for its length, though the wall clock went back",
    ),
  },
  {
    patch: "late-release-frees-a-newer-lease",
    wrong: "giving back does not look at whose lease it is by now",
    caughtBy: byTest(
      "store/lease",
      "a holder that slept for an hour between two of its steps > changes nothing with any of them, if somebody did",
    ),
  },
  {
    patch: "lease-renewed-after-it-was-taken",
    wrong: "a late renewal takes the lease back from who took it over",
    caughtBy: byTest("store/lease", "the lease > is free when its time has passed, and the late holder is fenced"),
  },
  {
    patch: "durable-before-the-sync",
    wrong: "durable() resolves when the sync begins",
    caughtBy: byTest(
      "durability/durable",
      "durable() on an own file > resolves after a sync that began after the op was recorded",
    ),
  },
  {
    patch: "sync-counts-what-came-during-it",
    wrong: "a sync covers what was recorded when it ends",
    caughtBy: byTest(
      "durability/durable",
      "durable() on an own file > does not take an op that was recorded during a sync for durable afterwards",
    ),
  },
  {
    patch: "sync-tried-again-after-an-error",
    wrong: "after EIO the sync is tried again, and says that all is well",
    caughtBy: byTest(
      "durability/durable",
      "durable() on an own file > rejects all as indeterminate after EIO, and never syncs again",
    ),
  },
  {
    patch: "cursor-stored-before-the-outcomes",
    wrong: "the cursor is committed, then the dead letters that it has passed",
    caughtBy: byTest(
      "store/fault",
      "a full disk > while settling: nothing of the settlement is there, and the same answer can be settled later",
    ),
  },
  {
    patch: "batches-settled-one-by-one",
    wrong: "each batch of an answer is settled in a transaction of its own",
    caughtBy: byTest("store/settle", "settling > writes all of a settlement or nothing of it"),
  },
  {
    patch: "result-stored-for-the-wrong-op",
    wrong: "results are taken by their place in the answer",
    caughtBy: byTest(
      "outbox/stub",
      "the stub > what refers to a rejected call is rejected too, and what does not goes through",
    ),
  },
  {
    patch: "settled-op-id-is-that-of-the-head",
    wrong: "what was settled last is taken from the register, which a twin may have moved",
    caughtBy: byTest(
      "store/settle",
      "settling > remembers the last op that was settled here, although a twin has moved the register on",
    ),
  },
  {
    patch: "base-not-moved-by-server-reset",
    wrong: "after a server_reset the batches are made for the register of before",
    caughtBy: byTest(
      "store/settle",
      "retention > a server that lost data gets the retained ops again, in the old batches, with the register it named",
    ),
  },
  {
    patch: "reset-keeps-the-settled-op-id",
    wrong: "after a server_reset the stream names the lost op as settled again",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "21: a reported server_reset is the one thing that makes settled ops pending again",
    ),
  },
  {
    patch: "unsettled-ops-pruned",
    wrong: "a full outbox gives up what is frozen, answered or not",
    caughtBy: byTest(
      "store/settle",
      "retention > gives up nothing for a full outbox that is not settled, though it is frozen",
    ),
  },
  {
    patch: "batch-cut-anew-on-retry",
    wrong: "what is pending is sealed again at each attempt, so ops move between batches",
    caughtBy: byTest(
      "flusher/flush",
      "what is recorded while a batch fails does not join it: a frozen batch keeps its ops",
    ),
  },
  {
    patch: "unit-split-over-two-batches",
    wrong: "a batch may end within a unit",
    caughtBy: byTest("intent/batch", "a unit is never split"),
  },
  {
    patch: "cut-splits-a-unit",
    wrong: "a batch that is too large is cut within its first unit",
    caughtBy: byTest("flusher/narrow", "a gateway that takes less than a window > never gets a unit in parts"),
  },
  {
    patch: "order-by-op-id",
    wrong: "ops are sent in the order of their ids",
    caughtBy: byTest(
      "store/settle",
      "freezing > keeps the order of recording, whatever the ids say: another process's clock may be behind",
    ),
  },
  {
    patch: "damaged-op-sent",
    wrong: "the checksum of an op is written and never looked at",
    caughtBy: byTest("store/checksum", "any bit of the row: what is sent is what was recorded, or nothing"),
  },
  {
    patch: "rotation-overrides-a-given-secret",
    wrong: "the secret that a person gives while a rotation is under way is overwritten by its end",
    caughtBy: byTest(
      "flusher/rotate",
      "a secret that a person gives meanwhile stays, and the new one is kept beside it",
    ),
  },
]
