/**
 * What a run of many seeds must have met: every fault, and every branch that a fault leads to. A simulator that no longer
 * reaches one of them would go on finding nothing.
 */
import { blockTable } from "../../flusher/block.ts"
import { refusalCodes } from "../../wire/contract.ts"
import { faults } from "./faults.ts"
import { work } from "./work.ts"

export interface Reached {
  /** E.g. `blocked revoked`. */
  what: string
  count: number
  /** Where it is tried instead, if not here. */
  elsewhere: string | undefined
}

/** Of the file system, of real sizes, of an order of calls that no outbox makes: no world in memory meets them. */
const elsewhere: Readonly<Record<string, string>> = {
  "refused share_removed": "thrown by redeemShare: `blocked share_removed`",
  "blocked damaged": "test/store/checksum.test.ts",
  "blocked outbox_full": "test/flusher/quota.test.ts",
  "blocked database_moved": "test/flusher/disk-block.test.ts",
  "blocked server_reset": "test/scenario/divergence.test.ts: needs more than is retained",
  "refused stale_epoch": "test/service/capability.test.ts: each POST redeems before it appends",
  "failed stale_epoch": "test/flusher/verdict.test.ts: each POST redeems before it appends",
  "refused too_large": "test/flusher/narrow.test.ts",
  "refused malformed": "test/testing: eachServiceCheck",
  "refused unsupported": "test/testing: eachServiceCheck",
  "refused scope_denied": "test/service/capability.test.ts",
  "refused share_unknown": "thrown by redeemShare: `failed share_unknown`",
  "refused expired": "thrown by redeemShare: `blocked expired`",
  "refused revoked": "thrown by redeemShare: `blocked revoked`",
}

/** Why an attempt failed, by the codes of flusher/classify.ts and wire/transport.ts. */
const failures = [
  "connection_lost",
  "refused",
  "deadline",
  "answer_missing",
  "internal",
  "busy",
  "gap",
  "stale_epoch",
  "share_unknown",
  "secret_replaced",
  "http_413",
  "http_429",
  "http_500",
  "http_503",
]

const rejections = ["poison", "dependency_rejected", "unknown_version"]

const events = ["acked", "superseded", "twin", "server_reset", "resynced", "removed", "retried", "discarded", "fault"]

export function reach(met: ReadonlyMap<string, number>): Reached[] {
  const wanted = [
    ...[...work, ...faults].map(({ name }) => `did ${name}`),
    ...Object.keys(blockTable).map((reason) => `blocked ${reason}`),
    ...refusalCodes.map((code) => `refused ${code}`),
    ...failures.map((code) => `failed ${code}`),
    ...rejections.map((code) => `rejected ${code}`),
    ...events.map((name) => `event ${name}`),
  ]
  return wanted.map((what) => ({ what, count: met.get(what) ?? 0, elsewhere: elsewhere[what] }))
}
