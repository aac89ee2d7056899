import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { systemRandom } from "../../src/intent/system.ts"
import { isId, isUlid, randomId, ulidFactory, ulidFromBytes, ulidToBytes } from "../../src/intent/ulid.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 })

test("16 bytes become a canonical ULID and the same 16 bytes again", () => {
  fc.assert(
    fc.property(bytes16, (bytes) => {
      const text = ulidFromBytes(bytes)
      expect(isUlid(text)).toBe(true)
      expect(ulidToBytes(text)).toEqual(bytes)
    }),
  )
})

test("the order of the texts is the order of the bytes", () => {
  fc.assert(
    fc.property(bytes16, bytes16, (a, b) => {
      expect(Math.sign(Buffer.compare(a, b))).toBe(
        ulidFromBytes(a) < ulidFromBytes(b) ? -1 : ulidFromBytes(a) > ulidFromBytes(b) ? 1 : 0,
      )
    }),
  )
})

test("the ends of the range are 0…0 and 7ZZ…Z", () => {
  expect([ulidFromBytes(new Uint8Array(16)), ulidFromBytes(new Uint8Array(16).fill(255))]).toEqual([
    "0".repeat(26),
    `7${"Z".repeat(25)}`,
  ])
})

describe("isUlid refuses", () => {
  for (const [name, text] of Object.entries({
    "lower case": "01arz3ndektsv4rrffq69g5fav",
    "more than 128 bits": `8${"0".repeat(25)}`,
    "the letter I": `0${"I".repeat(25)}`,
    "the letter L": `0${"L".repeat(25)}`,
    "the letter O": `0${"O".repeat(25)}`,
    "the letter U": `0${"U".repeat(25)}`,
    "25 characters": "0".repeat(25),
    "27 characters": "0".repeat(27),
    "a line end after it": `${"0".repeat(26)}\n`,
    "a number": 5,
  }))
    test(name, () => {
      expect(isUlid(text)).toBe(false)
    })
})

test("ids ascend while the clock runs, stands still and goes back", () => {
  const clock = new ManualClock()
  const next = ulidFactory(clock, systemRandom)
  const ids: string[] = []
  for (const step of [0, 0, 1, 0, -5_000, 0, 1, -3_600_000, 0, 10]) {
    clock.jump(step)
    for (let i = 0; i < 50; i++) ids.push(next())
  }
  expect(ids).toEqual(ids.toSorted())
  expect(new Set(ids).size).toBe(ids.length)
})

test("a clock at 0 does not read the system's time", () => {
  const next = ulidFactory(new ManualClock(0), systemRandom)
  expect(next()).toStartWith("0000000001")
})

test("a random source at its upper end does not break the increment", () => {
  let draws = 0
  const fraction = () => (draws++ % 2 === 0 ? 0.5 : 1 - Number.EPSILON / 2)
  const next = ulidFactory(new ManualClock(), { ...systemRandom, fraction })
  const ids = Array.from({ length: 1_000 }, next)
  expect(ids.every(isUlid)).toBe(true)
  expect(ids).toEqual(ids.toSorted())
})

test("a random id has the form of the contract at every size that is used", () => {
  for (const bits of [96, 128, 256]) expect(isId(randomId(systemRandom, bits))).toBe(true)
})

test("a malformed id is no id", () => {
  for (const id of ["short", "x".repeat(129), `${"x".repeat(16)} `, `${"x".repeat(16)}\n`, 5, null])
    expect(isId(id)).toBe(false)
})
