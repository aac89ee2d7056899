/**
 * Values that are larger than an op may be: opencode's can hold whole files (one `message.updated` of 458 MB was
 * reported). Their longest texts are cut until they fit, which says so in the text; the rest is shared as it is.
 */
import { SturdyError } from "../intent/error.ts"
import { op_bytes_floor, op_bytes_max } from "../intent/limit.ts"

/** `whole` fits where a service takes what Sturdy does; `small` fits everywhere: a service may take less of an op. */
export type Size = "whole" | "small"

/** Of the op's JSON text; the envelope, and escapes of texts in texts, take the rest. */
const value_bytes_max: Record<Size, number> = {
  whole: Math.floor(op_bytes_max / 2),
  small: Math.floor(op_bytes_floor / 3),
}

/** Characters that are left of a text, in turn. */
const cuts = [1024 * 1024, 256 * 1024, 64 * 1024, 8 * 1024, 1024, 100]

/** What `write` does with `whole`, or with `small` if the service takes no more. */
export function inFittingSize<T>(write: (size: Size) => T): T {
  try {
    return write("whole")
  } catch (error) {
    if (error instanceof SturdyError && tooLarge.has(error.code)) return write("small")
    throw error
  }
}

const tooLarge: ReadonlySet<string> = new Set(["op_too_large", "unit_too_large"])

/**
 * The value, or a copy with its longest texts cut, if it is far too large: before it is made text, which would hold the
 * thread (20 MB: 240 ms, measured). Lengths of texts are known without reading them.
 */
export function bounded<T>(value: T): T {
  return lengthOf(value) > 2 * op_bytes_max ? (shortened(value, cuts[2]!) as T) : value
}

function lengthOf(value: unknown): number {
  if (typeof value === "string") return value.length
  if (typeof value !== "object" || value === null) return 8
  return Object.values(value).reduce((sum: number, item) => sum + lengthOf(item), 0)
}

/** The value, or a copy with its longest texts cut. */
export function fitted<T>(value: T, size: Size): T {
  const bytes_max = value_bytes_max[size]
  if (bytesOf(value) <= bytes_max) return value
  for (const length of cuts) {
    const cut = shortened(value, length) as T
    if (bytesOf(cut) <= bytes_max) return cut
  }
  return withoutLists(shortened(value, cuts.at(-1)!)) as T
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}

function shortened(value: unknown, length: number): unknown {
  if (typeof value === "string") return value.length <= length ? value : cut(value, length)
  if (Array.isArray(value)) return value.map((item) => shortened(item, length))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shortened(item, length)]))
}

function cut(text: string, length: number): string {
  // Half a file of base64 shows nothing.
  if (text.startsWith("data:")) return "data:,"
  const kept = text.slice(0, length).toWellFormed()
  return `${kept}\n[${text.length - length} more characters are not shared: too large]`
}

/** Tens of thousands of short items: nobody reads them on a share. */
function withoutLists(value: unknown): unknown {
  if (Array.isArray(value)) return value.length > 100 ? [] : value.map(withoutLists)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withoutLists(item)]))
}
