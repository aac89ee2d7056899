/** Is there anything to send? The same rule as `Streams.withWork`, for a shipment that was just frozen. */
import type { Shipment } from "../store/freeze.ts"
import { isDue } from "../store/stream.ts"

/** Of a blocked stream a probe, when it is due. */
export function hasWork({ stream, batches }: Shipment, now: number): boolean {
  if (stream.block !== null) return stream.next_attempt_at !== null && isDue(stream.next_attempt_at, now)
  if (stream.time_closed !== null) return stream.repeat_removal === 1
  if (stream.time_removal !== null) return true
  // A look at the service alone, before the batches that wait.
  if (stream.probing === 1) return true
  return batches.length > 0 || (stream.session_id !== null && stream.granted === 0)
}
