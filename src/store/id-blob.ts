/** op_ids as the database holds them: 16 bytes each, lists end to end. */
import { assert } from "../intent/error.ts"
import { ulidFromBytes, ulidToBytes } from "../intent/ulid.ts"

export const idBlob = ulidToBytes
export const idText = ulidFromBytes

export function idsToBlob(ids: readonly string[]): Uint8Array | null {
  if (!ids.length) return null
  const blob = new Uint8Array(16 * ids.length)
  ids.forEach((id, i) => blob.set(ulidToBytes(id), 16 * i))
  return blob
}

export function idsFromBlob(blob: Uint8Array): string[] {
  assert(blob.length % 16 === 0, `a list of op_ids has a multiple of 16 bytes, got ${blob.length}`)
  return Array.from({ length: blob.length / 16 }, (_, i) => ulidFromBytes(blob.subarray(16 * i, 16 * i + 16)))
}
