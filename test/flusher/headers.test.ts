/** The host's `headers`: whatever it returns, an attempt has its headers or is not made, and no value is told. */
import { describe, expect, test } from "bun:test"
import type { OutboxOptions } from "../../src/index.ts"
import { fixedRandom, openBox, record } from "./box.ts"

const half = { random: fixedRandom(0.5) }
const key = "s3cr3t"

const bad: [what: string, headers: () => unknown][] = [
  ["nothing", () => undefined],
  ["null", () => null],
  ["false", () => false],
  ["a text", () => key],
  ["a number", () => 5],
  ["a promise", async () => ({ authorization: key })],
  ["a promise that is rejected", () => Promise.reject(new Error(key))],
  ["an array", () => [["authorization", key]]],
  ["a Headers", () => new Headers({ authorization: key })],
  ["a Map", () => new Map([["authorization", key]])],
  ["a value that is no text", () => ({ authorization: { key } })],
  ["a value that is not there", () => ({ authorization: undefined })],
  [
    "what throws when it is read",
    () => ({
      get authorization() {
        throw new TypeError("no key yet")
      },
    }),
  ],
]

describe("a failed attempt with backoff, and nothing is sent, is headers() that returns", () => {
  test.each(bad)("%s", async (_, headers) => {
    await using box = await openBox(half)
    let calls = 0
    let broken = true
    const outbox = box.open({
      headers: (() => {
        calls += 1
        return broken ? headers() : { authorization: key }
      }) as NonNullable<OutboxOptions["headers"]>,
    })
    const failed: { code: string; message: string; outcome: string }[] = []
    outbox.on("failed", ({ code, message, outcome }) => failed.push({ code, message, outcome }))
    record(box.stream(outbox), "1")
    await box.turn(10_000)
    expect(box.sent).toEqual([])
    // 250, 500, 1,000 … ms: not as fast as the processor goes.
    expect([calls, failed.length]).toEqual([6, 6])
    expect(failed[0]).toMatchObject({ code: "headers_fault", outcome: "not_sent" })
    expect(box.row().last_error).toBe("headers_fault")
    expect(JSON.stringify(failed)).not.toContain(key)
    broken = false
    await box.run(outbox.flush())
    expect(box.sent.map((sent) => sent.headers)).toEqual([{ authorization: key }])
  })
})

test("headers() may return an object without a prototype, and go on with its own", async () => {
  await using box = await openBox(half)
  const headers: Record<string, string> = Object.assign(Object.create(null), { "x-key": "1" })
  const outbox = box.open({ headers: () => headers })
  record(box.stream(outbox), "1")
  await box.run(outbox.flush())
  headers["x-key"] = "2"
  expect(box.sent[0]!.headers).toEqual({ "x-key": "1" })
})
