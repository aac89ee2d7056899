/**
 * What opencode's own share client sends: last state wins, by type and id, without op_ids and without order. It leads to
 * the same items as the ops do; those that an op wrote or removed are left as they are.
 */
import { writeAudit } from "./audit.ts"
import { check, isDenial, permitted } from "./capability.ts"
import type { Core } from "./core.ts"
import { boundBy } from "./grant.ts"
import { parse, syncInput } from "./input.ts"
import { isItemId, type ItemKey, type ItemPlace, syncItem } from "./opencode-items.ts"
import { opencodeMethods } from "./opencode-methods.ts"
import { ShareError } from "./share-error.ts"

interface Item {
  key: ItemKey
  /** JSON text. */
  text: string
}

/**
 * All of it in one transaction, or nothing. Types that are not known here are passed over.
 *
 * @returns how many of the entries were of a known type
 * @throws ShareError `malformed` for the first entry that has not the form of its type
 */
export function syncShare(core: Core, input: unknown): number {
  const time = core.seams.clock.now()
  const { data, ...ref } = parse(syncInput, input)
  return core.sql.transaction(() => {
    const bound = boundBy(core, ref, undefined)
    const access = permitted(isDenial(bound) ? bound : check(core.sql, bound, "append", time))
    // With methods of a host's own, nothing that it decides would see these items.
    if (core.methods["part.put"] !== opencodeMethods["part.put"])
      throw new ShareError("unsupported", "the shares of this server are none of opencode's")
    const known = data.flatMap(({ type, data }, index) => {
      const items = itemsOf(type, data, `data.${index}.data`)
      return items ? [items] : []
    })
    const place: ItemPlace = { sql: core.sql, share: access.share, position: access.position }
    for (const { key, text } of known.flat()) syncItem(place, key, text)
    const detail = `entries ${known.length}`
    writeAudit(core.sql, access.share, { time, capability_id: access.capability_id, action: "sync", detail })
    return known.length
  })
}

/** What an entry holds: models are one item per provider. undefined for a type that is not known. */
function itemsOf(type: string, data: unknown, at: string): Item[] | undefined {
  switch (type) {
    case "session":
    case "message":
      return [item({ type, id: idIn(data, "id", at) }, data, at)]
    case "part":
      return [item({ type, id: idIn(data, "id", at), message_id: idIn(data, "messageID", at) }, data, at)]
    case "session_diff":
      return [item({ type, id: "session_diff" }, listOf(data, at), at)]
    case "model": {
      const providers = Map.groupBy(listOf(data, at), (model, index) => idIn(model, "providerID", `${at}.${index}`))
      return [...providers].map(([id, models]) => item({ type, id }, models, at))
    }
    default:
      return
  }
}

function item(key: ItemKey, value: unknown, at: string): Item {
  try {
    return { key, text: JSON.stringify(value) }
  } catch {
    throw malformed(at)
  }
}

function idIn(value: unknown, name: string, at: string): string {
  const id = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined
  if (!isItemId(id)) throw malformed(`${at}.${name}`)
  return id
}

function listOf(value: unknown, at: string): unknown[] {
  if (!Array.isArray(value)) throw malformed(at)
  return value
}

function malformed(at: string): ShareError {
  return new ShareError("malformed", `malformed: ${at}`)
}
