/** Headers as the host's function returns them. What they hold is in no error: it may be a key. */
import { kindOf } from "../intent/shape.ts"
import { isThenable } from "../intent/thenable.ts"

/**
 * A copy, so that the host may go on with its object.
 *
 * @throws TypeError what is wrong, for a failed attempt. Nothing at all is wrong too: a key that is not there yet would
 *   be answered by a gateway with 401, which is a block.
 */
export function headersFrom(returned: unknown): Record<string, string> {
  if (isThenable(returned)) {
    // Nobody else hears of it.
    Promise.resolve(returned as PromiseLike<unknown>).catch(() => {})
    throw new TypeError("headers() returned a promise: fetch what it needs beforehand, and return an object of texts")
  }
  if (!isPlain(returned))
    throw new TypeError(`headers() must return a plain object of texts, {} for none; it returned ${whatIs(returned)}`)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(returned)) {
    if (typeof value !== "string")
      throw new TypeError(`headers(): the value of ${name} is no text but ${kindOf(value)}`)
    headers[name] = value
  }
  return headers
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

function whatIs(value: unknown): string {
  // A Headers or a Map would look like an object without fields.
  if (typeof value === "object" && value !== null && Symbol.iterator in value && !Array.isArray(value))
    return "an iterable (Object.fromEntries makes it plain)"
  return kindOf(value)
}
