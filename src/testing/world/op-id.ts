/** op_ids as databases have them, as text: the same few are read again after every event. */
import { ulidFromBytes } from "../../intent/ulid.ts"

const texts = new Map<string, string>()
/** Beyond it they are of worlds that are no more. */
const texts_max = 10_000

export function opIdOf(blob: unknown): string {
  const bytes = blob as Uint8Array
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1")
  const known = texts.get(key)
  if (known !== undefined) return known
  if (texts.size >= texts_max) texts.clear()
  const text = ulidFromBytes(bytes)
  texts.set(key, text)
  return text
}
