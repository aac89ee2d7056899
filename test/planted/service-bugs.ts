/** Planted bugs of the service: how a batch is decided. */
import { byTest, type PlantedBug } from "./layer.ts"

export const serviceBugs: readonly PlantedBug[] = [
  {
    patch: "register-compared-without-its-head",
    wrong: "the register is compared by its number alone",
    caughtBy: byTest(
      "service/decide",
      "rule 5: the right cursor with another head is a gap, and so is the right head with another cursor",
    ),
  },
  {
    patch: "register-not-compared",
    wrong: "a batch made for a register of before is decided at the one of now",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "7: a delayed request from before a restore changes nothing once newer ops were decided",
    ),
  },
  {
    patch: "op-id-window-instead-of-the-log",
    wrong: "of the op_ids the last 64 are remembered",
    caughtBy: byTest("service/decide", "rule 4: an op is known as long as the share lives, however many came after it"),
  },
  {
    patch: "settled-op-id-not-checked",
    wrong: "a server that lost what it had acknowledged goes on without a word",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "8: a server that lost data and was refilled by a late request is not absorbed silently",
    ),
  },
  {
    patch: "no-tombstone",
    wrong: "a removed share leaves no trace, so a late request creates it again",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "13: a late request to create a share does not bring it back after its removal",
    ),
  },
  {
    patch: "removed-share-takes-late-batches",
    wrong: "a share takes batches for a moment after its removal",
    caughtBy: byTest(
      "service/capability",
      "removing leaves a tombstone that knows every secret, and nothing of the content",
    ),
  },
  {
    patch: "no-supersedes",
    wrong: "ops that were replaced before they were sent stay unknown",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "14: an op that was replaced before it was sent is not applied when the file is restored to before that",
    ),
  },
  {
    patch: "supersedes-of-a-rejected-op-forgotten",
    wrong: "what a rejected op had replaced stays unknown",
    caughtBy: byTest(
      "scenario/protocol-traces-2",
      "a rejected op still supersedes what it replaced: an older file shares its fate",
    ),
  },
  {
    patch: "known-op-not-compared",
    wrong: "one op_id with two contents is a duplicate",
    caughtBy: byTest(
      "service/decide",
      "a known op with other content is a conflicting_op, and its stored outcome does not change",
    ),
  },
  {
    patch: "rejected-op-answered-as-a-duplicate",
    wrong: "what was rejected earlier is answered as if it had been applied",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "1: a rejected op whose ack was lost comes back rejected, not applied",
    ),
  },
  {
    patch: "rejection-not-remembered",
    wrong: "a rejected op is decided anew when it comes again",
    caughtBy: byTest("service/decide", "rule 4: a batch sent again gets the same outcomes and changes nothing"),
  },
  {
    patch: "dependents-not-rejected",
    wrong: "an op whose dependency was rejected is applied",
    caughtBy: byTest(
      "scenario/protocol-traces",
      "12: ops that depend on a dead letter are sent and rejected by the server, and the next op is no server_reset",
    ),
  },
  {
    patch: "dependency-not-looked-up",
    wrong: "an op whose dependency is not known is applied",
    caughtBy: byTest(
      "service/decide",
      "dependencies: missing and rejected reject the op, applied and superseded are done, also within the batch",
    ),
  },
  {
    patch: "rejected-op-leaves-its-effect",
    wrong: "what a handler wrote before it rejected stays",
    caughtBy: byTest("service/decide", "a rejected op leaves nothing of what its handler wrote"),
  },
  {
    patch: "register-moves-by-applied-ops-only",
    wrong: "a rejected op does not count in the cursor",
    caughtBy: byTest(
      "service/decide",
      "rule 3: a batch made for the register is decided and moves the register by all of its ops",
    ),
  },
  {
    patch: "head-taken-from-the-batch",
    wrong: "the answer to a batch of before names its last op as the head of now",
    caughtBy: byTest("service/decide", "rule 4: a batch sent again gets the same outcomes and changes nothing"),
  },
  {
    patch: "decided-outside-one-transaction",
    wrong: "each op of a batch is committed alone",
    caughtBy: byTest("service/decide", "a crash before the commit leaves nothing, a crash after it leaves everything"),
  },
  {
    patch: "stale-grant-used-after-an-epoch",
    wrong: "a grant outlives the epoch in which it was redeemed",
    caughtBy: byTest(
      "service/capability",
      "revoking all: the others are dead, the root is redeemed again, its live grants are stale",
    ),
  },
  {
    patch: "attenuation-widens",
    wrong: "one scope of its own lets a capability give any other",
    caughtBy: byTest("service/capability", "attenuate never widens scopes"),
  },
  {
    patch: "revoked-parent-leaves-its-children",
    wrong: "what was attenuated from a revoked capability lives on",
    caughtBy: byTest("service/capability", "revoking a capability ends it and all below it, and nothing beside it"),
  },
  {
    patch: "service-syncs-at-normal",
    wrong: "an Ack may be lost in a power cut of the server",
    caughtBy: byTest("service/sql-port", "what was committed survives a power loss: an Ack is a promise for ever"),
  },
  {
    patch: "epoch-header-ignored",
    wrong: "over plain HTTP/JSON a batch is decided at any epoch",
    caughtBy: byTest(
      "service/rest",
      "Sturdy-Epoch of another epoch is refused stale_epoch with the epoch of now; without it the epoch of now counts",
    ),
  },
  {
    patch: "sync-overwrites-what-an-op-wrote",
    wrong: "a legacy sync, which has no order, overwrites and revives what ops wrote and removed",
    caughtBy: byTest("service/legacy", "what ops wrote or removed a later sync leaves as it is, the rest it takes"),
  },
]
