/**
 * What of an outbox goes to file with a bug report without what people wrote: structure, lengths, and which values are
 * equal to each other. A text becomes `text#6k2p0a9x1d (12 B)`: bytes in UTF-8, and what stands for it in this export.
 *
 * What stands for a text is a hash of it under a key that is forgotten with the export: nobody can try texts against it,
 * nothing must be remembered, and the same text is the same wherever it stands.
 */
import type { Random } from "../../intent/seam.ts"
import { isUlid } from "../../intent/ulid.ts"

type Node = null | boolean | number | string | Node[] | { [key: string]: Node }

/** Digits and small letters that no ULID has: what stands for a text is taken for no id. */
const digits = "0123456789abcdefghijklmnopqrstuv"

/** Bits kept of a hash: two of a million texts are taken for one in one export of 500. */
const hash_bits = 50

/** Names of classes that capnweb knows. */
const classNames = new Set(
  `Error EvalError RangeError ReferenceError SyntaxError TypeError URIError AggregateError ArrayBuffer DataView Int8Array
  Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array Float32Array Float64Array BigInt64Array BigUint64Array`.split(
    /\s+/,
  ),
)

/** Tags of its values that hold nothing but texts and numbers, in lists; the second of an error or bytes may be a class. */
const tags = new Set(["bigint", "date", "bytes", "url", "headers", "error", "undefined", "inf", "-inf", "nan"])

const remembered_max = 4096
const remembered_letters_max = 128

export class Redactor {
  readonly #key: string
  readonly #remembered = new Map<string, string>()

  constructor(random: Random) {
    this.#key = Buffer.from(random.bytes(32)).toString("base64")
  }

  text(text: string): string {
    const known = this.#remembered.get(text)
    if (known !== undefined) return known
    const made = `text#${this.#hash(text)} (${Buffer.byteLength(text)} B)`
    if (text.length > remembered_letters_max) return made
    if (this.#remembered.size >= remembered_max) this.#remembered.clear()
    this.#remembered.set(text, made)
    return made
  }

  textOrNull(text: string | null): string | null {
    return text === null ? null : this.text(text)
  }

  /** Part by part: `part/prt_1` still shows that its end is an id which stands elsewhere. */
  path(text: string): string {
    return text
      .split("/")
      .map((part) => (part === "" ? "" : this.text(part)))
      .join("/")
  }

  /** A word of a program's stays: it says what went wrong and nothing of whom. */
  word(text: string): string {
    return /^[A-Za-z_][\w.-]{0,63}$/.test(text) ? text : this.text(text)
  }

  /** JSON text in capnweb's form: with its tags and references; the same in structure. Not JSON: one text. */
  args(text: string): string {
    let node: Node
    try {
      node = JSON.parse(text) as Node
    } catch {
      return JSON.stringify(this.text(text))
    }
    return JSON.stringify(this.#value(node))
  }

  /** Steps from an op's result: places in a list stay. */
  steps(steps: readonly (string | number)[]): (string | number)[] {
    return steps.map((step) => (typeof step === "string" ? this.text(step) : step < 1000 ? step : this.#number(step)))
  }

  #value(node: Node): Node {
    if (!Array.isArray(node)) return this.#plain(node, (child) => this.#value(child))
    const [first, ...rest] = node
    if (node.length === 1 && Array.isArray(first)) return [first.map((child) => this.#value(child))]
    if (first === "$ref" && isReference(rest)) return ["$ref", rest[0], this.steps(rest[1])]
    const inner = (child: Node): Node => (Array.isArray(child) ? child.map(inner) : this.#plain(child, inner))
    if (typeof first !== "string" || !tags.has(first)) return node.map(inner)
    // Members of an error are values again.
    const member = first === "error" ? (child: Node) => this.#plain(child, (value) => this.#value(value)) : inner
    return [first, ...rest.map((child) => (isClassName(child) ? child : member(child)))]
  }

  /** Names of members are texts like any: they may be file names. */
  #plain(node: Exclude<Node, Node[]> | Node[], inner: (child: Node) => Node): Node {
    if (typeof node === "string") return this.text(node)
    if (typeof node === "number") return this.#number(node)
    if (node === null || typeof node === "boolean") return node
    if (Array.isArray(node)) return node.map(inner)
    return Object.fromEntries(Object.entries(node).map(([key, child]) => [this.text(key), inner(child)]))
  }

  /** Another number, of the same sign, whole if it was: what it is worth is no part of its shape. */
  #number(value: number): number {
    const other = Number.parseInt(this.#hash(`number ${value}`), 32) % 2 ** 48
    return (value < 0 ? -1 : 1) * (other + (Number.isInteger(value) ? 0 : 0.5))
  }

  #hash(text: string): string {
    const hash = Bun.SHA256.hash(`${this.#key}${text}`) as Uint8Array
    let name = ""
    for (let n = 0; n < hash_bits / 5; n++) name += digits[hash[n]! & 31]!
    return name
  }
}

function isReference(rest: Node[]): rest is [string, (string | number)[]] {
  return rest.length === 2 && isUlid(rest[0]) && Array.isArray(rest[1]) && rest[1].every(isStep)
}

function isStep(node: Node): node is string | number {
  return typeof node === "string" || typeof node === "number"
}

function isClassName(node: Node): node is string {
  return typeof node === "string" && classNames.has(node)
}
