/** What each answer means, as a table: pure, no outbox and no service. */
import { describe, expect, test } from "bun:test"
import { isBlockReason } from "../../src/flusher/block.ts"
import { settlementOf } from "../../src/flusher/settlement.ts"
import { PostWindow } from "../../src/flusher/post-window.ts"
import { postFor, type Verdict } from "../../src/flusher/verdict.ts"
import * as limit from "../../src/intent/limit.ts"
import type { StreamRow } from "../../src/store/stream.ts"
import { refusalCodes } from "../../src/wire/contract.ts"
import type { Answer } from "../../src/wire/post.ts"
import {
  ack,
  ack2,
  fault,
  foreign,
  grant,
  ids,
  lost,
  refusal,
  refused,
  register,
  row,
  said,
  value,
  verdictOf,
  type Case,
} from "./verdict-case.ts"

describe("a refused batch", () => {
  const table: Record<string, string> = {
    gap: "retry gap at once",
    server_reset: "block server_reset",
    stale_epoch: "retry stale_epoch at once",
    revoked: "block revoked",
    expired: "block expired",
    scope_denied: "block scope_denied",
    share_unknown: "retry share_unknown",
    share_removed: "block share_removed",
    too_large: "cut 1+1; retry too_large at once",
    malformed: "retry malformed",
    busy: "retry busy",
    unsupported: "block unsupported",
  }
  for (const code of refusalCodes)
    test(`${code}: ${table[code]}`, () => {
      expect(said({ appended: [refusal(code, register), lost] })).toBe(table[code]!)
      // What was acknowledged before it counts.
      if (code !== "server_reset" && code !== "too_large") {
        const after = said({ appended: [value(ack()), refusal(code, register)] })
        expect(after).toBe(`settled 1; ${table[code]}`)
      }
    })

  test("a code that nobody knows is tried again", () => {
    expect(said({ appended: [refusal("from_the_future")] })).toBe("retry from_the_future")
  })

  test("server_reset with retained ops makes them pending again, from the register of the refusal", () => {
    expect(said({ appended: [refusal("server_reset", register)], retained: true })).toBe("reset to 7; on")
  })

  test.each([
    ["no cursor", { head_op_id: null }],
    ["no head", { cursor: 7 }],
    ["a cursor that is no number", { cursor: "7", head_op_id: null }],
    ["a cursor that is no integer", { cursor: 7.5, head_op_id: null }],
    ["a head that is no text", { cursor: 7, head_op_id: 7 }],
  ])("gap and server_reset with %s are protocol faults", (_, wrong) => {
    expect(said({ appended: [refusal("gap", wrong)] })).toBe("retry protocol")
    expect(said({ appended: [refusal("server_reset", wrong)], retained: true })).toBe("retry protocol")
  })

  test("gap stores the register as base, and a head that nobody here knows makes a twin", () => {
    const { patch, twin } = verdictOf({ appended: [refusal("gap", register)], knows: false })
    expect(patch).toMatchObject({ base_cursor: 7, base_head_op_id: foreign })
    expect(twin).toBeTrue()
    expect(said({ appended: [refusal("gap", { cursor: 0, head_op_id: null })], knows: false })).toBe(
      "retry gap at once",
    )
  })

  test.each(["gap", "stale_epoch"])("%s twice in a row waits the second time", (code) => {
    const stream = { attempts: 1, last_error: code }
    expect(said({ stream, appended: [refusal(code, register)] })).toBe(`retry ${code}`)
  })

  test.each(["gap", "stale_epoch"])("%s after an outage is followed by an attempt at once", (code) => {
    const stream = { attempts: 7, last_error: "connection_lost" }
    expect(said({ stream, appended: [refusal(code, register)] })).toBe(`retry ${code} at once`)
  })

  test("two refusals that are each good for an attempt at once do not take turns", () => {
    const stream = { attempts: 1, last_error: "stale_epoch" }
    expect(said({ stream, appended: [refusal("gap", register)] })).toBe("retry gap")
  })

  test.each([
    ["as it is said", 1_500, 1_500],
    ["cut to the cap", 1e12, limit.retry_after_ms_max],
    ["cut to the cap when it is endless", Infinity, limit.retry_after_ms_max],
    ["left out when it is no number", "soon", undefined],
    ["left out when it is not a number", NaN, undefined],
    ["zero when it is negative", -5, 0],
  ])("busy: retry_after_ms is %s", (_, retry_after_ms, wait) => {
    const { next } = verdictOf({ appended: [refusal("busy", { retry_after_ms })] })
    expect(next.go === "retry" && next.fault.retry_after_ms).toBe(wait as never)
  })

  test("a message that is no text is made one", () => {
    const { next } = verdictOf({ appended: [value({ refused: "revoked", message: { secret: 1 } })] })
    expect(next.go === "block" && typeof next.block.message).toBe("string")
  })
})

describe("a removal of what others created", () => {
  const removing = { time_removal: 1 }
  const own = { service_id: "service_1" }
  const other = { service_id: "service_2" }
  const ungranted = { service_id: null }
  test.each<[code: string, of: string, by: { service_id?: string }, stream: Partial<StreamRow>, meaning: string]>([
    ["share_unknown", "its own service", own, {}, "closed"],
    ["share_unknown", "another service", other, {}, "block other_server"],
    ["share_unknown", "one that does not say who it is", {}, {}, "block other_server"],
    ["share_unknown", "another service, before any grant", other, ungranted, "closed"],
    ["share_unknown", "one that does not say who it is, before any grant", {}, ungranted, "closed"],
    ["share_removed", "its own service", own, {}, "closed"],
    ["share_removed", "another service", other, {}, "block other_server"],
    // It knew the secret.
    ["share_removed", "one that does not say who it is", {}, {}, "closed"],
  ])("%s, said by %s", (code, _, by, stream, meaning) => {
    expect(said({ stream: { ...removing, ...stream }, grant: refused(code, by), appended: [] })).toBe(meaning)
    if (code === "share_removed")
      expect(
        said({ stream: { ...removing, ...stream }, created: refused(code, by), grant: refused(code), appended: [] }),
      ).toBe(meaning)
  })

  test("names both services, and no secret that one of them says", () => {
    const { next } = verdictOf({
      stream: removing,
      grant: refused("share_unknown", { service_id: row.secret }),
      appended: [],
    })
    expect(next.go === "block" && next.block.message).toContain(
      "is [secret], and says of the removal: said share_unknown",
    )
    expect(next.go === "block" && next.block.message).toEndWith("belongs to service_1")
  })
})

describe("redeemShare that throws", () => {
  const created = { session_id: "ses_1", granted: 0, service_id: null }
  const table: [string, Case, string][] = [
    ["share_unknown, not created here", {}, "block share_unknown"],
    ["share_unknown before the first Grant", { stream: created }, "retry share_unknown"],
    ["share_unknown after a Grant, created here", { stream: { session_id: "ses_1" } }, "retry share_unknown at once"],
    [
      "share_unknown, removing what others created, said by nobody",
      { stream: { time_removal: 1 } },
      "block other_server",
    ],
    [
      "share_unknown, removing what was created here",
      { stream: { time_removal: 1, session_id: "ses_1" } },
      "retry share_unknown at once",
    ],
  ]
  for (const [what, given, meaning] of table)
    test(`${what}: ${meaning}`, () => {
      expect(said({ ...given, grant: refused("share_unknown"), appended: [] })).toBe(meaning)
    })

  test.each([
    ["share_removed", "block share_removed"],
    ["revoked", "block revoked"],
    ["expired", "block expired"],
    ["unsupported", "block unsupported"],
    ["internal", "retry internal"],
    ["busy", "retry busy"],
  ])("%s: %s", (code, meaning) => {
    expect(said({ grant: refused(code), appended: [] })).toBe(meaning)
  })

  test("share_removed ends a removal", () => {
    expect(said({ stream: { time_removal: 1 }, grant: refused("share_removed"), appended: [] })).toBe("closed")
  })

  test("a lost share is probed: createShare and redeemShare alone", () => {
    const { patch } = verdictOf({ stream: { session_id: "ses_1" }, grant: refused("share_unknown"), appended: [] })
    expect(patch).toMatchObject({ granted: 0, probing: 1 })
    const lostShare = { ...row, session_id: "ses_1", granted: 0, probing: 1 }
    expect(postFor({ stream: lostShare, batches: [], sealed: [] }, {}).create).toBeDefined()
    expect(new PostWindow().for(lostShare).batches_max).toBe(0)
  })

  test("an error without a code is the service's own fault, and tried again", () => {
    expect(said({ grant: { kind: "failed", message: "boom" }, appended: [] })).toBe("retry service_fault")
  })
})

describe("createShare that throws", () => {
  test.each([
    ["share_exists", "block share_unknown", {}],
    ["share_removed", "block share_removed", {}],
    ["share_removed", "closed", { time_removal: 1 }],
    ["busy", "retry busy", {}],
    ["malformed", "retry malformed", {}],
  ])("%s: %s", (code, meaning, more) => {
    const stream = { session_id: "ses_1", granted: 0, service_id: null, ...more }
    expect(said({ stream, created: refused(code), grant: refused("share_unknown"), appended: [] })).toBe(meaning)
  })
})

describe("a grant", () => {
  test("of another service blocks before anything is settled", () => {
    expect(said({ grant: value({ ...grant, service_id: "service_2" }) })).toBe("block other_server")
  })

  test("is learned: service, epoch and limits", () => {
    const limits = { batch_ops_max: 1_000, batch_bytes_max: 2_000_000, op_bytes_max: 300_000 }
    const { patch } = verdictOf({
      stream: { granted: 0, service_id: null },
      grant: value({ ...grant, epoch: 4, limits }),
    })
    expect(patch).toEqual({
      granted: 1,
      probing: 0,
      service_id: "service_1",
      epoch: 4,
      ...limits,
      service_fault_count: 0,
    })
  })

  test("below the contract's floors has no say: what was recorded within them must be sendable", () => {
    const limits = { batch_ops_max: 1, batch_bytes_max: 1, op_bytes_max: 1 }
    const { patch } = verdictOf({ stream: {}, grant: value({ ...grant, limits }) })
    expect(patch).toMatchObject({ batch_ops_max: 100, batch_bytes_max: 1_048_576, op_bytes_max: 262_144 })
  })

  test.each([
    ["for another share", { share_id: "another_share_0123" }],
    ["without a service_id", { service_id: undefined }],
    ["with a service_id that is no text", { service_id: { id: 1 } }],
    ["with an epoch that is no number", { epoch: "1" }],
    ["without limits", { limits: {} }],
    ["with limits that are no numbers", { limits: { ...grant.limits, batch_ops_max: "100" } }],
  ])("%s is a protocol fault", (_, wrong) => {
    expect(said({ grant: value({ ...grant, ...wrong }) })).toBe("retry protocol")
  })

  test("whose createShare answers without a url leaves the url open", () => {
    const stream = { session_id: "ses_1", granted: 0, service_id: null }
    for (const answer of [null, {}, { url: 7 }])
      expect(verdictOf({ stream, created: value(answer) as Answer<never> }).patch.url).toBeUndefined()
  })
})

describe("answers are settled in order, up to the first that is not an Ack", () => {
  test("all Acks: everything", () => expect(said({})).toBe("settled 2; on"))

  test("what was rejected is an answer too, with its code", () => {
    const { acked } = verdictOf({
      appended: [
        value(ack({ applied: [], duplicates: [ids[0]], rejected: [{ op_id: ids[1], code: "poison", message: "no" }] })),
        value(ack2),
      ],
    })
    expect(acked.map((one) => Object.fromEntries(one.rejected))).toEqual([
      { [ids[1]]: { code: "poison", message: "no" } },
      {},
    ])
    expect(acked[0]!.register).toEqual({ cursor: 12, head_op_id: ids[1] })
  })

  test("a lost first answer drops the second, although it is an Ack", () => {
    expect(said({ appended: [lost, value(ack2)] })).toBe("retry connection_lost")
  })

  test("a lost second answer leaves the first", () => {
    expect(said({ appended: [value(ack()), lost] })).toBe("settled 1; retry connection_lost")
  })
})

describe("a fault of the transport is tried again", () => {
  test.each([
    ["connection_lost", fault("connection_lost", "unknown", "gone"), "retry connection_lost"],
    ["refused", fault("refused", "not_sent", "no"), "retry refused"],
    ["a status", fault("http_status", "unknown", "HTTP 503", { status: 503 }), "retry http_503"],
    [
      "a status with Retry-After",
      fault("http_status", "unknown", "HTTP 429", { status: 429, retry_after_ms: 9_000 }),
      "retry http_429 after 9000",
    ],
    ["a redirect", fault("redirect", "unknown", "elsewhere", { status: 307 }), "block unsupported"],
  ])("%s", (_, answer, meaning) => {
    expect(said({ grant: answer, appended: [answer, answer] })).toBe(meaning)
  })
})

describe("a removal", () => {
  const stream = { time_removal: 1 }
  test.each<[string, Answer<{ removed: true }>, string]>([
    ["removed", value({ removed: true }), "closed"],
    ["share_removed", refused("share_removed"), "closed"],
    ["a lost answer", lost, "retry connection_lost"],
    ["scope_denied", refused("scope_denied"), "block scope_denied"],
    ["stale_epoch", refused("stale_epoch"), "retry stale_epoch at once"],
  ])("%s: %s", (_, removed, meaning) => {
    expect(said({ stream, appended: [], removed })).toBe(meaning)
  })
})

describe("the settlement", () => {
  const verdict = (next: Verdict["next"], more: Partial<Verdict> = {}): Verdict => ({
    acked: [],
    patch: {},
    next,
    ...more,
  })
  const retry: Verdict["next"] = { go: "retry", fault: { code: "refused", message: "no", outcome: "not_sent" } }

  test("of a failed attempt counts it and says when the next is due", () => {
    expect(settlementOf(verdict(retry), { ...row, attempts: 4 }, 1_000, 9_000).patch).toEqual({
      attempts: 5,
      next_attempt_at: 9_000,
      retry_after_at: null,
      last_error: "refused",
    })
  })

  test.each<[string, Verdict["next"]]>([
    [
      "a failed attempt",
      { go: "retry", fault: { code: "http_503", message: "no", outcome: "unknown", retry_after_ms: 7 } },
    ],
    ["what blocks", { go: "block", block: { reason: "unsupported", message: "no" }, retry_after_ms: 7 }],
    [
      "a probe that failed",
      {
        go: "block",
        block: { reason: "unsupported", message: "no" },
        fault: { code: "busy", message: "no", outcome: "refused", retry_after_ms: 7 },
      },
    ],
  ])("of %s says until when it was asked for silence", (_, next) => {
    expect(settlementOf(verdict(next), row, 1_000, 9_000).patch.retry_after_at).toBe(1_007)
  })

  test("of progress begins to count again", () => {
    const { acked } = verdictOf({})
    expect(settlementOf(verdict(retry, { acked }), { ...row, attempts: 4 }, 1_000, 9_000).patch.attempts).toBe(1)
  })

  test("of what went through forgets what failed before", () => {
    const before = { ...row, attempts: 4, next_attempt_at: 5, retry_after_at: 5, last_error: "refused" }
    expect(settlementOf(verdict({ go: "on" }), before, 1_000, undefined).patch).toEqual({
      attempts: 0,
      next_attempt_at: null,
      retry_after_at: null,
      last_error: null,
    })
  })

  test("of a block names it", () => {
    const next: Verdict["next"] = { go: "block", block: { reason: "revoked", message: "said" } }
    const { patch } = settlementOf(verdict(next), row, 1_000, undefined)
    expect(patch).toMatchObject({ block: "revoked", block_message: "said", time_blocked: 1_000 })
  })

  test("of a lost share or a reset repeats the removals that were settled there", () => {
    const repeats = (given: Verdict) => settlementOf(given, row, 1_000, undefined).repeatRemovals
    expect(repeats(verdict({ go: "on" }, { lost: true }))).toBeTrue()
    const [reset, lost] = [
      verdictOf({ appended: [refusal("server_reset", register)], retained: true }),
      verdictOf({ stream: { session_id: "ses_1" }, grant: refused("share_unknown"), appended: [] }),
    ]
    expect([reset.lost, lost.lost]).toEqual([true, true])
    expect(repeats(verdict(retry))).toBeUndefined()
  })
})

test("no code of an object's own methods counts as a block", () => {
  for (const code of ["constructor", "toString", "__proto__"]) expect(isBlockReason(code)).toBeFalse()
})
