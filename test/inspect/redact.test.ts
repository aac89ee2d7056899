/** What people wrote is in no redacted export, and what a bug report needs is. */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { encodeArgs } from "../../src/intent/codec.ts"
import { systemRandom } from "../../src/intent/system.ts"
import type { OpFacts } from "../../src/inspect/op-facts.ts"
import { Redactor } from "../../src/inspect/export/redactor.ts"
import { redactedOp } from "../../src/inspect/export/redacted.ts"

const op_id = "01M8FENECQSFGY86E65ZPSPGKT"

/** Letters that nothing of ours has: names of fields, ids, and what stands for a text. */
const canary = fc.string({ unit: fc.constantFrom("I", "L", "U", "Ø", "漢", "𝄞"), minLength: 4, maxLength: 200 })

const scalars = [
  (text: string) => text,
  (text: string) => `before ${text} after`,
  (text: string) => new URL(`http://x/?q=${encodeURIComponent(text)}&${text}`),
  (text: string) => new TypeError(text, { cause: { [text]: text } }),
  (text: string) => Object.assign(new Error(text), { [text]: [text] }),
  (text: string) => new TextEncoder().encode(text),
  () => 31_415_926_535,
  () => 27182818284590452353602n,
  () => new Date(1_414_213_562_373),
  () => 1.7320508,
]

const value = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    fc.tuple(canary, fc.constantFrom(...scalars)).map(([text, make]) => make(text) as unknown),
    fc.constantFrom(null, true, undefined, Infinity, NaN),
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(canary, tie("node"), { maxKeys: 3, noNullPrototype: true }),
    fc.tuple(fc.constantFrom("$ref", "date", "error", "bytes"), tie("node")),
  ),
})).node

const known = ["31415926535", "27182818284590452353602", "1414213562373", "1.7320508", "7320508"]

function expectNothingOf(text: string): void {
  expect(text).not.toMatch(/[ILUØ漢𝄞]{2}/u)
  for (const number of known) expect(text).not.toContain(number)
  for (const bytes of ["I", "L", "U"].map((letter) => letter.repeat(6)))
    expect(text).not.toContain(Buffer.from(bytes).toString("base64"))
}

describe("a redacted op holds nothing of what was written", () => {
  test("in its arguments, whatever they are", () => {
    const redactor = new Redactor(systemRandom)
    fc.assert(
      fc.property(fc.array(value, { maxLength: 4 }), (args) => {
        const { text } = encodeArgs(args as unknown[])
        expectNothingOf(redactor.args(text))
      }),
      { numRuns: 300 },
    )
  })

  test("in any of its fields, nor in a text that is no JSON", () => {
    const redactor = new Redactor(systemRandom)
    fc.assert(
      fc.property(canary, (text) => {
        const op: OpFacts = {
          op_id,
          stream: text,
          stream_id: 1,
          seq: 1,
          state: "failed",
          whole: true,
          continues: false,
          batch_id: op_id,
          method: `${text} put`,
          target: [op_id, text, 0],
          args: text,
          bytes: text.length,
          key: `a/${text}/${text}`,
          actor_id: text,
          schema_version: 1,
          want_result: true,
          depends_on: [op_id],
          supersedes: [],
          superseded_by: null,
          time_created: 1,
          result: JSON.stringify({ [text]: [[text]] }),
          rejection: {
            code: `${text}!`,
            message: text,
            time_rejected: 1,
            decision: null,
            time_decided: null,
            retried_op_id: null,
          },
        }
        expectNothingOf(JSON.stringify(redactedOp(op, redactor)))
      }),
    )
  })
})

describe("a redacted op keeps", () => {
  const redactor = new Redactor(systemRandom)
  const redacted = (...args: unknown[]) => JSON.parse(redactor.args(encodeArgs(args).text)) as [unknown[]]

  test("which values are equal to each other, here and in its key", () => {
    const [[first, second, third]] = redacted("prt_1", "prt_1", "prt_2")
    expect(first).toBe(second!)
    expect(first).not.toEqual(third)
    expect(redactor.path("part/prt_1").split("/")[1]).toBe(first as string)
  })

  test("bytes of texts, tags, references, and what is no text and no number", () => {
    const source = [
      [
        ["$ref", op_id, ["name", 3]],
        { a: null, b: true },
        ["date", 1],
        ["undefined"],
        ["error", "RangeError", "wörld"],
      ],
    ]
    const [[reference, record, date, none, error]] = JSON.parse(redactor.args(JSON.stringify(source))) as [unknown[]]
    expect(reference).toEqual(["$ref", op_id, [expect.stringMatching(/^text#[0-9a-v]{10} \(4 B\)$/), 3]])
    expect(Object.values(record as object)).toEqual([null, true])
    expect(date).toEqual(["date", expect.any(Number)])
    expect(none).toEqual(["undefined"])
    expect(error).toEqual(["error", "RangeError", expect.stringMatching(/ \(6 B\)$/)])
  })

  test("that a number is whole, or negative", () => {
    const [[whole, part, negative]] = redacted(5, 5.25, -5) as [number[]]
    expect([Number.isInteger(whole), Number.isInteger(part), negative! < 0]).toEqual([true, false, true])
  })

  test("and what stands for a text in one export does not in another", () => {
    expect(new Redactor(systemRandom).text("hello")).not.toBe(redactor.text("hello"))
  })
})
