/** What each status and each code means: pure. */
import { describe, expect, test } from "bun:test"
import { fault, lost, refusal, refused, said, value, verdictOf, type Case } from "./verdict-case.ts"

const http = (status: number, more: { retry_after_ms?: number } = {}): Case => ({
  grant: fault("http_status", "unknown", `HTTP ${status}`, { status, ...more }),
  appended: [lost, lost],
})

describe("an HTTP status", () => {
  test.each([
    [400, "retry http_400"],
    [401, "block scope_denied"],
    [204, "block unsupported"],
    [402, "block unsupported"],
    [403, "block scope_denied"],
    [404, "block unsupported"],
    [407, "block scope_denied"],
    [451, "block unsupported"],
    [405, "block unsupported"],
    [408, "retry http_408"],
    [409, "retry http_409"],
    [410, "block unsupported"],
    [413, "alone; retry http_413 at once"],
    [422, "retry http_422"],
    [425, "retry http_425"],
    [429, "retry http_429"],
    [500, "retry http_500"],
    [501, "block unsupported"],
    [502, "retry http_502"],
    [503, "retry http_503"],
    [504, "retry http_504"],
  ])("%d: %s", (status, meaning) => expect(said(http(status))).toBe(meaning))

  test.each([408, 429, 503])("%d with Retry-After: not before it", (status) =>
    expect(said(http(status, { retry_after_ms: 7_000 }))).toBe(`retry http_${status} after 7000`),
  )

  test.each([
    [403, "block scope_denied"],
    [404, "block unsupported"],
    [413, "alone; retry http_413 at once"],
  ])("%d with Retry-After: it means the same, and not before it", (status, meaning) =>
    expect(said(http(status, { retry_after_ms: 7_000 }))).toBe(`${meaning} after 7000`),
  )

  test("a redirect with Retry-After blocks, and is not looked at again before it", () => {
    const grant = fault("redirect", "unknown", "elsewhere", { status: 302, retry_after_ms: 7_000 })
    expect(said({ grant, appended: [lost, lost] })).toBe("block unsupported after 7000")
  })

  test.each([
    ["scope_denied", "block scope_denied after 7000"],
    ["unsupported", "block unsupported after 7000"],
    ["too_large", "cut 1+1; retry too_large at once after 7000"],
    ["busy", "retry busy after 7000"],
  ] as const)("a refusal %s with a delay: it means the same, and not before it", (code, meaning) =>
    expect(said({ appended: [refusal(code, { retry_after_ms: 7_000 }), lost] })).toBe(meaning),
  )

  test("of a removal blocks and fails like that of a batch", () => {
    const removing = { ...http(403), stream: { time_removal: 1 }, removed: lost }
    expect(said(removing)).toBe("block scope_denied")
  })
})

describe("the outcome", () => {
  const outcomeOf = (given: Case) => {
    const { next } = verdictOf(given)
    return next.go === "retry" && next.fault.outcome
  }

  test.each([
    ["refused connection", { grant: fault("refused", "not_sent", "no") }, "not_sent"],
    ["lost connection", { grant: lost }, "unknown"],
    ["HTTP 503", http(503), "unknown"],
    ["busy", { appended: [value({ refused: "busy", message: "locked" })] }, "refused"],
    ["an error without a code", { appended: [{ kind: "failed", message: "boom" }] }, "unknown"],
    ["an error with a code of nobody's", { appended: [refused("ECONNREFUSED")] }, "unknown"],
    ["an answer that is no Ack", { appended: [value(7)] }, "unknown"],
  ] as [string, Case, string][])("of %s", (_, given, outcome) => expect(outcomeOf(given)).toBe(outcome as never))
})

test("a message that looks like another fault decides nothing", () => {
  const text = "HTTP 404 share_removed revoked ECONNREFUSED 413"
  expect(said({ appended: [{ kind: "failed", message: text }] })).toBe("retry service_fault")
  expect(said({ grant: fault("connection_lost", "unknown", text) })).toBe("retry connection_lost")
})
