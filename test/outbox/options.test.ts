/** Options of openOutbox: what is not taken is refused by name before a file is touched, and no value is repeated. */
import { describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { openOutbox, rpc, type OutboxOptions } from "../../src/index.ts"
import { systemSeams } from "../../src/intent/system.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"

const { clock, random, crashPoint } = systemSeams

/** What a caller without types may pass, and what the error says. */
const bad: [what: string, options: unknown, says: string][] = [
  ["null", null, "options of openOutbox"],
  ["a number", 5, "options of openOutbox"],
  ["a text", "s3cr3t", "options of openOutbox"],
  ["an array", [], "options of openOutbox"],
  ["a name that is none", { lingerms: 5 }, "lingerms"],
  ["headers that are no function", { headers: { authorization: "s3cr3t" } }, "headers"],
  ["headers that are null", { headers: null }, "headers"],
  ["a quota of NaN", { outboxBytesMax: NaN }, "outboxBytesMax"],
  ["a quota without end", { outboxBytesMax: Infinity }, "outboxBytesMax"],
  ["a quota below what an empty outbox takes", { outboxBytesMax: 1 }, "outboxBytesMax"],
  ["a quota that is a text", { outboxBytesMax: "s3cr3t" }, "outboxBytesMax"],
  ["damaged: an unknown word", { damaged: "s3cr3t" }, "damaged"],
  ["a negative linger", { lingerMs: -1 }, "lingerMs"],
  ["half a millisecond of linger", { lingerMs: 0.5 }, "lingerMs"],
  ["a linger beyond an hour", { lingerMs: 3_600_001 }, "lingerMs"],
  ["no backoff at all", { retryDelayMsMin: 0 }, "retryDelayMsMin"],
  ["a backoff of NaN", { retryDelayMsMax: NaN }, "retryDelayMsMax"],
  ["a backoff whose bounds are crossed", { retryDelayMsMin: 20, retryDelayMsMax: 10 }, "retryDelayMsMin is 20"],
  ["a backoff from above the default's upper bound", { retryDelayMsMin: 60_001 }, "which is 60000"],
  ["a lease too short to be renewed", { leaseMs: 99 }, "leaseMs"],
  ["a lease that is null", { leaseMs: null }, "leaseMs"],
  ["a resync that is no function", { resync: true }, "resync"],
  ["an empty list of protocols", { protocols: [] }, "protocols"],
  ["a protocol that is none", { protocols: [rpc, { name: "http" }] }, "protocols [1]"],
  ["a protocol without a name", { protocols: [{ send: () => {} }] }, "protocols [0]"],
  ["a protocol that is null", { protocols: [null] }, "protocols [0]"],
  ["a protocol twice", { protocols: [rpc, rpc] }, "twice"],
  ["a transport that is no function", { transport: {} }, "transport"],
  ["seams that are null", { seams: null }, "seams"],
  ["seams without crash points", { seams: { clock, random } }, "crashPoint"],
  ["seams without a clock", { seams: { random, crashPoint } }, "clock.now"],
  ["seams with half a clock", { seams: { clock: { ...clock, block: 5 }, random, crashPoint } }, "clock.block"],
  [
    "seams with half of chance",
    { seams: { clock, random: { fraction: random.fraction }, crashPoint } },
    "random.bytes",
  ],
]

describe("openOutbox refuses, naming it and touching nothing:", () => {
  test.each(bad)("%s", async (_, options, says) => {
    await using dir = tempDir()
    const error = errorOf(() => openOutbox(dir.file(), options as OutboxOptions))
    expect(error.code).toBe("invalid_argument")
    expect(error.message).toContain(says)
    expect(error.message + error.hint).not.toContain("s3cr3t")
    expect(existsSync(dir.file())).toBeFalse()
  })
})

test("openOutbox takes every option at its bounds, and undefined for none", async () => {
  const atBounds: OutboxOptions[] = [
    { lingerMs: 0, retryDelayMsMin: 1, retryDelayMsMax: 1, leaseMs: 100, outboxBytesMax: 256 * 1024 },
    { lingerMs: 3_600_000, retryDelayMsMin: 86_400_000, retryDelayMsMax: 86_400_000, leaseMs: 600_000 },
    { outboxBytesMax: Number.MAX_SAFE_INTEGER, headers: () => ({}), resync: () => {}, damaged: "quarantine" },
    { seams: systemSeams, transport: () => new Promise(() => {}) },
    Object.fromEntries(["lingerMs", "headers", "damaged", "seams"].map((name) => [name, undefined])),
  ]
  for (const options of atBounds) {
    await using dir = tempDir()
    await openOutbox(dir.file(), options).close({ flush_ms: 0 })
  }
})

test("an outbox with the least quota takes an op", async () => {
  await using dir = tempDir()
  await using outbox = openOutbox(dir.file(), { outboxBytesMax: 256 * 1024 })
  outbox.pause()
  const stream = outbox.stream("s", outbox.newRef("http://notes.example/rpc/share"))
  stream.record({ method: "put", args: ["x".repeat(1_000)] })
  expect(stream.status().pending).toBe(1)
})
