/**
 * Intents and stubs as the host holds them. An Intent is opaque, not thenable, and whatever is read from one is a
 * reference to that property of its result. What it stands for is kept aside, where only Sturdy can read it.
 */
import { SturdyError } from "./intent/error.ts"
import type { Reference } from "./intent/reference.ts"

declare const result: unique symbol

/**
 * A recorded call. Its properties are references: `note.id` can be an argument of a later call on the same stream, also
 * after a crash. Not a promise: the answer may be days away; `outbox.result(intent)` waits for it.
 */
export type Intent<T = unknown> = { readonly [result]: T } & {
  readonly [K in keyof Fields<T> & (string | number)]: Intent<Fields<T>[K]>
}

/** What can be read of a result: properties of objects and items of arrays, not the methods that they inherit. */
type Fields<T> = T extends readonly (infer Item)[] ? Record<number, Item> : T extends object ? T : unknown

/** An argument, or anything inside one, may be an Intent of the same type. */
export type Referable<T> =
  T | Intent<T> | (T extends Date | Uint8Array ? never : T extends object ? { [K in keyof T]: Referable<T[K]> } : never)

/** The methods of a Cap'n Web API as calls that are recorded. */
export type Stub<Api> = {
  readonly [K in keyof Api as Api[K] extends (...args: never[]) => unknown ? K : never]: Api[K] extends (
    ...args: infer Args
  ) => infer Result
    ? (...args: { [I in keyof Args]: Referable<Args[I]> }) => Intent<Awaited<Result>>
    : never
}

/** The op behind an Intent. `op_id` is provisional until its unit is written: an earlier op may stand for it. */
export interface IntentOp {
  outbox: object
  stream_id: number
  op_id: string
  seq: number | undefined
  method: string
  want_result: boolean
  /** Its unit was not written: there is no such op. */
  lost?: boolean
}

interface Meaning {
  op: IntentOp
  path: (string | number)[]
}

/** What the language itself asks any object for: no methods of an API. */
const lookedAt: ReadonlySet<string> = new Set(["then", "toJSON", "toString", "valueOf", "constructor"])

/** The methods of an API, each a call of `record`. */
export function stubOf<Api>(record: (method: string, args: unknown[]) => Intent): Stub<Api> {
  const methods = new Map<string, (...args: unknown[]) => Intent>()
  return new Proxy(Object.create(null) as Stub<Api>, {
    get(_, method) {
      // Not thenable: a stub may be returned from an async function. Nor is a call recorded by looking at it.
      if (typeof method === "symbol" || lookedAt.has(method)) return undefined
      const known = methods.get(method)
      if (known) return known
      const call = (...args: unknown[]) => record(method, args)
      methods.set(method, call)
      return call
    },
  })
}

const meanings = new WeakMap<object, Meaning>()

const inspect = Symbol.for("nodejs.util.inspect.custom")

export function newIntent<T>(op: IntentOp, path: (string | number)[] = []): Intent<T> {
  const shown = () => `Intent(${[op.method, ...path].join(".")} ${op.op_id})`
  // On the target itself: whoever shows a proxy looks behind it.
  const target = Object.defineProperty(Object.create(null), inspect, { value: shown, configurable: true }) as Intent<T>
  const proxy = new Proxy(target, {
    get(_, key) {
      if (key === inspect) return shown
      // Not thenable, so that `await` cannot be mistaken for waiting; not serializable by accident.
      if (key === Symbol.toPrimitive) return () => `Intent(${[op.method, ...path].join(".")} ${op.op_id})`
      if (typeof key === "symbol" || key === "then" || key === "toJSON") return undefined
      return newIntent(op, [...path, key])
    },
    set() {
      throw new SturdyError("invalid_argument", "an Intent cannot be changed", "Record another call instead.")
    },
  })
  meanings.set(proxy, { op, path })
  return proxy
}

/** The reference that a value stands for, if it is an Intent of this stream. @throws SturdyError `reference_foreign`. */
export function referenceIn(outbox: object, stream_id: number): (value: object) => Reference | undefined {
  return (value) => {
    const meaning = meanings.get(value)
    if (!meaning) return
    if (meaning.op.outbox !== outbox || meaning.op.stream_id !== stream_id)
      throw new SturdyError(
        "reference_foreign",
        `the arguments refer to ${meaning.op.method} (${meaning.op.op_id}), which was recorded on another stream`,
        "Only results of the same stream can be referred to: wait for outbox.result(…) and pass the value.",
      )
    if (meaning.op.lost)
      throw new SturdyError(
        "invalid_argument",
        `the arguments refer to ${meaning.op.method}, whose unit failed and was not written`,
        "Record that call again, and refer to the new Intent.",
      )
    return { op_id: meaning.op.op_id, path: meaning.path }
  }
}

/** The op behind an Intent of this outbox. @throws SturdyError `invalid_argument`. */
export function ownOp(outbox: object, intent: object): IntentOp {
  const op = intentOp(intent)
  if (op?.outbox === outbox) return op
  throw new SturdyError("invalid_argument", "not an Intent of this outbox", "Pass what record or a stub returned.")
}

export function intentOp(intent: object): IntentOp | undefined {
  return meanings.get(intent)?.op
}
