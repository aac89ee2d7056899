/**
 * Sealing: where one batch ends and the next begins. Whole units, contiguous, up to the limits; a unit is never split,
 * so one that is larger than the sealing limits makes a batch of its own (its size was checked when it was recorded).
 */
import { batch_envelope_bytes } from "./op.ts"

export interface Sealable {
  bytes: number
  /** Belongs to the unit of the op before it. */
  continues: boolean
}

export interface SealLimits {
  ops_max: number
  bytes_max: number
}

/**
 * Lengths of the batches that these ops make, in order. Deterministic: the same ops make the same batches.
 * `complete`: no op follows the last one; otherwise the last unit may go on, and is left out.
 */
export function sealBatches(ops: readonly Sealable[], limits: SealLimits, complete: boolean): number[] {
  const batches: number[] = []
  let count = 0
  let bytes = batch_envelope_bytes
  for (const unit of unitsOf(ops, complete)) {
    const fits = count + unit.count <= limits.ops_max && bytes + unit.bytes <= limits.bytes_max
    if (!fits && count > 0) {
      batches.push(count)
      count = 0
      bytes = batch_envelope_bytes
    }
    count += unit.count
    bytes += unit.bytes
  }
  if (count > 0) batches.push(count)
  return batches
}

function unitsOf(ops: readonly Sealable[], complete: boolean): { count: number; bytes: number }[] {
  const units: { count: number; bytes: number }[] = []
  for (const op of ops) {
    const open = units.at(-1)
    // The comma that joins it to the next op.
    const bytes = op.bytes + 1
    if (!op.continues || !open) units.push({ count: 1, bytes })
    else {
      open.count += 1
      open.bytes += bytes
    }
  }
  return complete ? units : units.slice(0, -1)
}
