/**
 * Arguments as text: capnweb's own `serialize()` of the argument array, with references in place. Checked when an op
 * is recorded, because what cannot be replayed faithfully would be a poison pill in the outbox.
 *
 * What capnweb loses silently (measured with 0.12): -0, holes, symbol keys, keys named like members of
 * Object.prototype or `toJSON`, `__proto__`, names of Error subclasses. What only the receiver refuses: bigints over
 * 16,384 digits, depth over 256. All of these are refused here.
 */
import { deserialize, serialize } from "capnweb"
import { SturdyError } from "./error.ts"
import type { Reference } from "./reference.ts"

/** Arguments nested deeper than this are refused; capnweb's receiver counts two levels for an array. */
const depth_max = 100

/** capnweb's receiver counts characters, the sign too. */
const bigint_digits_max = 16_383
const bigint_max = 10n ** BigInt(bigint_digits_max) - 1n

const plainErrors = new Set<unknown>(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError].map(
    (type) => type.prototype,
  ),
)

const atomPrototypes = new Set<unknown>(
  [
    Date,
    ArrayBuffer,
    DataView,
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
    Buffer,
    URL,
    Headers,
  ].map((type) => type.prototype),
)

export interface EncodedArgs {
  text: string
  /** op_ids that the arguments refer to, each once, in order of appearance. */
  references: string[]
}

/**
 * Encodes an argument array at once: a host may change its objects later. `referenceOf` tells an Intent from a value.
 *
 * @throws SturdyError `args_unsupported` with `path`.
 */
export function encodeArgs(
  args: readonly unknown[],
  referenceOf: (value: object) => Reference | undefined = () => undefined,
  marker = "\u0000$ref:",
): EncodedArgs {
  const walker = new Walker(marker, referenceOf)
  const plain = serializeChecked(walker.array(args, "args", 0))
  const found = walker.found
  if (!found.length) return { text: plain, references: [] }
  const quoted = (index: number) => JSON.stringify(`${marker}${index};`)
  // A string of the caller's holds the marker: take one that it does not hold.
  if (found.some((_, index) => plain.split(quoted(index)).length !== 2))
    return encodeArgs(args, referenceOf, `${marker}\u0000`)
  // One pass, from left to right as they were found: a path may hold what looks like a marker.
  let text = ""
  let rest = plain
  for (const [index, { op_id, path }] of found.entries()) {
    const [before, after] = rest.split(quoted(index)) as [string, string]
    text += before + JSON.stringify(["$ref", op_id, path])
    rest = after
  }
  text += rest
  return { text, references: [...new Set(found.map((reference) => reference.op_id))] }
}

/** The value of a text that `encodeArgs` made and in which no reference is left. */
export function decodeArgs(text: string): unknown[] {
  const value = deserialize(text)
  if (!Array.isArray(value)) throw new TypeError("args are not an array")
  return value
}

/** The value of a result's text. */
export function decodeValue(text: string): unknown {
  return deserialize(text)
}

function serializeChecked(value: unknown): string {
  let text: string
  try {
    text = serialize(value)
    deserialize(text)
  } catch (cause) {
    throw unsupported("args", `Cap'n Web cannot carry them: ${cause instanceof Error ? cause.message : cause}`, cause)
  }
  return text
}

function unsupported(path: string, what: string, cause?: unknown): SturdyError {
  return new SturdyError(
    "args_unsupported",
    `${path}: ${what}`,
    "Pass plain data (bytes instead of a Blob, an array instead of a Map or Set); the op was not recorded.",
    { path, cause },
  )
}

/** Checks and copies, so that Intents can be replaced by markers without touching the caller's objects. */
class Walker {
  readonly found: Reference[] = []
  readonly #above = new Set<object>()

  constructor(
    readonly marker: string,
    readonly referenceOf: (value: object) => Reference | undefined,
  ) {}

  value(value: unknown, path: string, depth: number): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
      case "undefined":
        return value
      case "number":
        if (Object.is(value, -0)) throw unsupported(path, "-0 would become 0")
        return value
      case "bigint":
        if (value > bigint_max || value < -bigint_max)
          throw unsupported(path, `a bigint of more than ${bigint_digits_max} digits is refused by the receiver`)
        return value
      case "function": {
        const reference = this.referenceOf(value)
        if (reference) return this.reference(reference)
        throw unsupported(path, "a function or stub cannot be replayed after a restart")
      }
      case "symbol":
        throw unsupported(path, "a symbol cannot be sent")
      case "object":
        return value === null ? null : this.object(value, path, depth)
    }
  }

  reference(reference: Reference): string {
    this.found.push(reference)
    return `${this.marker}${this.found.length - 1};`
  }

  object(value: object, path: string, depth: number): unknown {
    const reference = this.referenceOf(value)
    if (reference) return this.reference(reference)
    if (depth > depth_max) throw unsupported(path, `nested deeper than ${depth_max} levels`)
    if (this.#above.has(value)) throw unsupported(path, "the value contains itself")
    this.#above.add(value)
    const copy = Array.isArray(value) ? this.array(value, path, depth) : this.#record(value, path, depth)
    this.#above.delete(value)
    return copy
  }

  array(value: readonly unknown[], path: string, depth: number): unknown[] {
    if (Object.getPrototypeOf(value) !== Array.prototype) throw unsupported(path, "a subclass of Array loses its class")
    const copy: unknown[] = []
    for (let i = 0; i < value.length; i++) {
      if (!(i in value)) throw unsupported(`${path}[${i}]`, "a hole would become undefined")
      copy.push(this.value(value[i], `${path}[${i}]`, depth + 1))
    }
    if (Object.keys(value).length !== value.length) throw unsupported(path, "a named property of an array is dropped")
    return copy
  }

  #record(value: object, path: string, depth: number): unknown {
    const prototype = Object.getPrototypeOf(value)
    if (atomPrototypes.has(prototype)) return value
    if (plainErrors.has(prototype)) {
      if (Object.hasOwn(value, "name")) throw unsupported(path, "an Error with a name of its own loses its class")
      // Own properties of an error travel too, hidden ones as well: they must be plain, and hold no reference.
      const references = this.found.length
      for (const key of [...Object.keys(value), "cause", "errors"])
        if (Object.hasOwn(value, key)) this.value(value[key as never], `${path}.${key}`, depth + 1)
      if (this.found.length > references) throw unsupported(path, "an Error cannot hold a reference")
      return value
    }
    if (prototype !== Object.prototype || Object.prototype.toString.call(value) !== "[object Object]")
      throw unsupported(path, `${describe(value)} cannot be sent as data`)
    if (Object.getOwnPropertySymbols(value).length) throw unsupported(path, "a symbol key would be dropped")
    const copy: Record<string, unknown> = {}
    for (const key of Object.keys(value)) {
      const at = /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`
      if (key === "toJSON" || key in Object.prototype) throw unsupported(at, `a key named ${key} would be dropped`)
      copy[key] = this.value(value[key as never], at, depth + 1)
    }
    return copy
  }
}

function describe(value: object): string {
  const prototype = Object.getPrototypeOf(value)
  if (prototype === null) return "an object without a prototype"
  const name: unknown = prototype.constructor?.name
  return typeof name === "string" && name ? `an instance of ${name}` : "an instance of a class"
}
