/**
 * What Sturdy relies on in the bus events of opencode 1.18 (types.gen.d.ts of its SDK, 1.19.3): the few fields that
 * are read are checked here; the rest is opaque and passes through as it came.
 *
 * In a live host `properties` is opencode's own object, which it goes on changing: read it at once, keep nothing of it.
 */
import { SturdyError } from "../intent/error.ts"

export interface BusEvent {
  /** Recognises a repeat. It says nothing about order: ids of different sessions are not ascending. */
  id: string
  type: string
  properties: Record<string, unknown>
}

/**
 * Printable ASCII without "/", which separates the ids in a key. Two of them in a key, and an event id with a suffix,
 * stay below `name_bytes_max`. opencode's own ids are 30 characters.
 */
const id_pattern = /^[!-.0-~]{1,200}$/

export function isOpencodeId(value: unknown): value is string {
  return typeof value === "string" && id_pattern.test(value)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** The id at a dotted path in the event's properties, `info.id`. @throws SturdyError `recording_malformed`. */
export function idAt(event: BusEvent, path: string): string {
  const value = valueAt(event, path)
  if (isOpencodeId(value)) return value
  throw malformedEvent(event, `properties.${path}`, value === undefined ? "is missing" : "is not an id")
}

/** The object at a path in the event's properties. @throws SturdyError `recording_malformed`. */
export function recordAt(event: BusEvent, path: string): Record<string, unknown> {
  const value = valueAt(event, path)
  if (isRecord(value)) return value
  throw malformedEvent(event, `properties.${path}`, value === undefined ? "is missing" : "is not an object")
}

/** The array at a path in the event's properties. @throws SturdyError `recording_malformed`. */
export function arrayAt(event: BusEvent, path: string): unknown[] {
  const value = valueAt(event, path)
  if (Array.isArray(value)) return value
  throw malformedEvent(event, `properties.${path}`, value === undefined ? "is missing" : "is not an array")
}

function valueAt(event: BusEvent, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>((node, step) => (isRecord(node) ? node[step] : undefined), event.properties as unknown)
}

/** Names the event and the path of the field in it, never a value: payloads are private. */
export function malformedEvent(event: BusEvent, path: string, problem: string): SturdyError {
  const id = isOpencodeId(event.id) ? event.id : "without an id"
  return new SturdyError(
    "recording_malformed",
    `${event.type} ${id}: ${path} ${problem}`,
    "opencode 1.18 sends no such event: check what made it, or whether a newer opencode needs a newer Sturdy.",
    { path },
  )
}
