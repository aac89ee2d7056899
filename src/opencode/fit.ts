/**
 * Values that are larger than an op may be: opencode's can hold whole files (one `message.updated` of 458 MB was
 * reported). Their longest texts are cut until they fit, which says so in the text; the rest is shared as it is.
 */
import { op_bytes_max } from "../intent/limit.ts"

/** Of the op's JSON text; the envelope, and escapes of texts in texts, take the rest. */
const value_bytes_max = Math.floor(op_bytes_max / 2)

/** Characters that are left of a text, in turn. */
const cuts = [1024 * 1024, 256 * 1024, 64 * 1024, 8 * 1024, 1024, 100]

/** The value, or a copy with its longest texts cut. */
export function fitted<T>(value: T): T {
  if (bytesOf(value) <= value_bytes_max) return value
  for (const length of cuts) {
    const cut = shortened(value, length) as T
    if (bytesOf(cut) <= value_bytes_max) return cut
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
