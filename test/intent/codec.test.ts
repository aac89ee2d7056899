import { describe, expect, test } from "bun:test"
import { RpcStub, RpcTarget, serialize } from "capnweb"
import fc from "fast-check"
import { decodeArgs, encodeArgs } from "../../src/intent/codec.ts"
import type { Reference } from "../../src/intent/reference.ts"
import { errorOf } from "../sturdy-error.ts"

const op_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
const other_id = "01ARZ3NDEKTSV4RRFFQ69G5FAW"

class Note {
  title = "x"
}
class Failure extends Error {}
class Rows extends Array {}

const cycle: unknown[] = []
cycle.push({ inner: [cycle] })

const holes = [1, 2, 3]
delete holes[1]

function nested(levels: number): unknown {
  let value: unknown = "end"
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

const faithful: Record<string, unknown> = {
  null: null,
  undefined: undefined,
  "the empty string": "",
  "a lone surrogate": "\ud800",
  "a NUL character": "a\u0000b",
  NaN: NaN,
  "minus infinity": -Infinity,
  "the largest double": Number.MAX_VALUE,
  "a bigint beyond 64 bits": 2n ** 200n,
  "a negative bigint": -(10n ** 100n),
  "a date": new Date(1_700_000_000_123),
  "a URL": new URL("https://example.com/a?b=c#d"),
  "an ArrayBuffer": new Uint8Array([1, 2, 255]).buffer,
  "a DataView": new DataView(new Uint8Array([7, 8]).buffer),
  Int8Array: new Int8Array([-1, 1]),
  Uint8ClampedArray: new Uint8ClampedArray([0, 255]),
  Int16Array: new Int16Array([-300]),
  Uint16Array: new Uint16Array([65535]),
  Int32Array: new Int32Array([-70000]),
  Uint32Array: new Uint32Array([2 ** 32 - 1]),
  Float32Array: new Float32Array([1.5]),
  Float64Array: new Float64Array([1e308, 0.1]),
  BigInt64Array: new BigInt64Array([-5n]),
  BigUint64Array: new BigUint64Array([2n ** 64n - 1n]),
  "the empty array": [],
  "arrays in arrays": [[[]], [[1]]],
  "the empty object": {},
  "an object with keys that are no identifiers": { "a b": 1, "0": 2, "": 3, "ü\ud800": 4 },
  "100 levels of arrays": nested(99),
}

describe("encodeArgs and decodeArgs carry", () => {
  for (const [name, value] of Object.entries(faithful))
    test(name, () => {
      expect(decodeArgs(encodeArgs([value]).text)).toEqual([value])
    })

  test("an invalid date", () => {
    const [date] = decodeArgs(encodeArgs([new Date(NaN)]).text) as [Date]
    expect([date.constructor, date.getTime()]).toEqual([Date, NaN])
  })

  test("headers with a repeated name", () => {
    const pairs: [string, string][] = [
      ["set-cookie", "a"],
      ["set-cookie", "b"],
    ]
    const [headers] = decodeArgs(encodeArgs([new Headers(pairs)]).text) as [Headers]
    expect([...headers]).toEqual(pairs)
  })

  test("bytes, as bytes", () => {
    const [bytes, part] = decodeArgs(
      encodeArgs([new Uint8Array([1, 2]), new Uint8Array(new Uint8Array([9, 8, 7]).buffer, 1, 1)]).text,
    ) as Uint8Array[]
    expect([[...bytes!], [...part!]]).toEqual([[1, 2], [8]])
  })

  for (const type of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError])
    test(`a plain ${type.name} with its class, message, cause and own properties`, () => {
      const error = Object.assign(new type("no", { cause: { at: [1] } }), { code: 7 })
      const [back] = decodeArgs(encodeArgs([error]).text) as [typeof error]
      expect([back.constructor, back.message, back.cause, back.code]).toEqual([type, "no", { at: [1] }, 7])
    })

  test("an AggregateError with its errors", () => {
    const [back] = decodeArgs(encodeArgs([new AggregateError([new RangeError("a")], "two")]).text) as [AggregateError]
    expect([back.constructor, back.message, back.errors[0].constructor]).toEqual([AggregateError, "two", RangeError])
  })

  test("a value twice in the same arguments: it is a copy, not a cycle", () => {
    const shared = { a: 1 }
    expect(decodeArgs(encodeArgs([shared, { shared }]).text)).toEqual([shared, { shared }])
  })

  test("the arguments as they were when they were recorded", () => {
    const part = { text: "before" }
    const { text } = encodeArgs([part])
    part.text = "after"
    expect(decodeArgs(text)).toEqual([{ text: "before" }])
  })

  test("exactly the text that Cap'n Web makes of the arguments", () => {
    const args = [{ a: [1, undefined, new Date(3)] }, "x", 5n]
    expect(encodeArgs(args).text).toBe(serialize(args))
  })
})

const refused: Record<string, [path: string, value: unknown]> = {
  "a function": ["args[0].call", { call: () => 1 }],
  "a method": ["args[0].a.run", { a: { run() {} } }],
  "a stub": ["args[0].stub", { stub: new RpcStub(new (class extends RpcTarget {})()) }],
  "an RpcTarget": ["args[0]", new (class extends RpcTarget {})()],
  "a readable stream": ["args[0].body", { body: new ReadableStream() }],
  "a writable stream": ["args[0]", new WritableStream()],
  "a request": ["args[0]", new Request("https://example.com")],
  "a response": ["args[0]", new Response("x")],
  "a Blob": ["args[0].file", { file: new Blob(["x"]) }],
  "a Map": ["args[0].m", { m: new Map() }],
  "a Set": ["args[0][1]", [0, new Set([1])]],
  "a WeakMap": ["args[0]", new WeakMap()],
  "a RegExp": ["args[0]", /x/],
  "a promise": ["args[0]", Promise.resolve(1)],
  "a class instance": ["args[0].note", { note: new Note() }],
  "a subclass of Array": ["args[0]", Rows.from([1])],
  "a null prototype": ["args[0].o", { o: Object.create(null) }],
  "a boxed number": ["args[0]", Object(1)],
  "a boxed string": ["args[0].s", { s: Object("x") }],
  "a boxed bigint": ["args[0]", Object(1n)],
  "a boxed boolean": ["args[0]", Object(true)],
  "an arguments object": [
    "args[0]",
    (function () {
      return arguments
    })(),
  ],
  "a cycle": ["args[0][0].inner[0]", cycle],
  "-0": ["args[0].a[1]", { a: [0, -0] }],
  "a hole": ["args[0][1]", holes],
  "a named property of an array": ["args[0]", Object.assign([1], { total: 1 })],
  "a symbol": ["args[0]", Symbol("x")],
  "a symbol key": ["args[0]", { [Symbol("x")]: 1 }],
  "a key constructor": ["args[0].constructor", { constructor: 1 }],
  "a key __proto__": ["args[0].__proto__", JSON.parse('{"__proto__":1}')],
  "a key toJSON": ["args[0].toJSON", { toJSON: 1 }],
  "a key hasOwnProperty": ["args[0].hasOwnProperty", { hasOwnProperty: 1 }],
  "an Error subclass": ["args[0].e", { e: new Failure("x") }],
  "an Error with a name of its own": ["args[0]", Object.assign(new RangeError("x"), { name: "Custom" })],
  "an Error whose property cannot be sent": ["args[0].why", Object.assign(new Error("x"), { why: () => 1 })],
  "an Error whose hidden cause would change": ["args[0].cause.n", new Error("x", { cause: { n: -0 } })],
  "an AggregateError that holds a class instance": ["args[0].errors[0]", new AggregateError([new Note()])],
  Float16Array: ["args[0]", new Float16Array([1])],
  "a bigint over 16,384 digits": ["args[0].n", { n: 10n ** 16_384n }],
  "a negative bigint over 16,384 digits": ["args[0]", -(10n ** 16_384n)],
  "more than 100 levels": [`args${"[0]".repeat(101)}`, nested(200)],
}

describe("encodeArgs refuses, and names the place of", () => {
  for (const [name, [path, value]] of Object.entries(refused))
    test(name, () => {
      const error = errorOf(() => encodeArgs([value]))
      expect([error.code, error.path]).toEqual(["args_unsupported", path])
    })

  test("a place under a key that is no identifier", () => {
    expect(errorOf(() => encodeArgs([{ "a b": { "0": -0 } }])).path).toBe('args[0]["a b"]["0"]')
  })

  test("a hole in the argument array itself", () => {
    // oxlint-disable-next-line no-sparse-arrays
    expect(errorOf(() => encodeArgs([1, , 2])).path).toBe("args[1]")
  })
})

const scalar = fc.oneof(
  fc.constantFrom(null, undefined, true, false, NaN, Infinity, -Infinity),
  fc.string({ unit: "binary" }),
  fc.double().filter((n) => !Object.is(n, -0)),
  fc.bigInt(),
  fc.date({ noInvalidDate: true }),
)
const key = fc.string({ unit: "binary" }).filter((key) => key !== "toJSON" && !(key in Object.prototype))
const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    fc.array(tie("value"), { maxLength: 5 }),
    fc.dictionary(key, tie("value"), { maxKeys: 5, noNullPrototype: true }),
  ),
})).value

test("whatever encodeArgs takes, decodeArgs gives back equal", () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), (args) => {
      expect(decodeArgs(encodeArgs(args).text)).toEqual(args)
    }),
    { numRuns: 500 },
  )
})

test("anything at all is either refused with a path or given back equal", () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withSparseArray: true, withMap: true }), (thing) => {
      let text: string
      try {
        text = encodeArgs([thing]).text
      } catch {
        expect(errorOf(() => encodeArgs([thing])).path).toStartWith("args")
        return
      }
      expect(decodeArgs(text)).toStrictEqual([thing])
    }),
    { numRuns: 500 },
  )
})

describe("references", () => {
  const handle = { op: 1 }
  const second = { op: 2 }
  const referenceOf = (value: object): Reference | undefined =>
    value === handle ? { op_id, path: ["a", 0] } : value === second ? { op_id: other_id, path: [] } : undefined

  test("stand where the value stood, in objects and arrays", () => {
    expect(encodeArgs([handle, { x: [second] }], referenceOf)).toEqual({
      text: `[["$ref","${op_id}",["a",0]],{"x":[[["$ref","${other_id}",[]]]]}]`.replace(/^\[(.*)\]$/, "[[$1]]"),
      references: [op_id, other_id],
    })
  })

  test("are listed once each", () => {
    expect(encodeArgs([handle, handle, [handle]], referenceOf).references).toEqual([op_id])
  })

  test("keep apart from a user's string that holds the marker text", () => {
    const text = "\u0000$ref:0;"
    const encoded = encodeArgs([text, handle, "\u0000$ref:\u00000;"], referenceOf).text
    expect(JSON.parse(encoded)).toEqual([[text, ["$ref", op_id, ["a", 0]], "\u0000$ref:\u00000;"]])
  })

  test("keep apart from a user's key that holds the marker text", () => {
    expect(JSON.parse(encodeArgs([{ "\u0000$ref:0;": handle }], referenceOf).text)).toEqual([
      [{ "\u0000$ref:0;": ["$ref", op_id, ["a", 0]] }],
    ])
  })

  test("keep apart from a path that holds the marker text", () => {
    const odd = (value: object): Reference | undefined =>
      value === handle
        ? { op_id, path: ["\u0000$ref:1;"] }
        : value === second
          ? { op_id: other_id, path: [] }
          : undefined
    expect(JSON.parse(encodeArgs([handle, second], odd).text)).toEqual([
      [
        ["$ref", op_id, ["\u0000$ref:1;"]],
        ["$ref", other_id, []],
      ],
    ])
  })

  test('["$ref", …] of the user\'s own stays data', () => {
    const own = ["$ref", op_id, []]
    const { text, references } = encodeArgs([own, { $ref: [op_id] }])
    expect([decodeArgs(text), references]).toEqual([[own, { $ref: [op_id] }], []])
  })

  test("inside an Error are refused", () => {
    const error = errorOf(() => encodeArgs([Object.assign(new Error("x"), { of: handle })], referenceOf))
    expect([error.code, error.path]).toEqual(["args_unsupported", "args[0]"])
  })
})

test("decodeArgs refuses a text that is no argument array", () => {
  expect(() => decodeArgs('{"a":1}')).toThrow("args are not an array")
})
