/** Where an op stands, in the words of the view op_state. `ops.ts` has the same rule in SQL, by place. */
import type { StreamRow } from "../store/stream.ts"

export const opStates = ["pending", "in_flight", "acked", "superseded", "failed", "discarded"] as const
export type OpState = (typeof opStates)[number]

/** The tables that know of it. */
export interface Traces {
  isKept: boolean
  isDead: boolean
  isSuperseded: boolean
}

/** `seq` is its global place. What was replaced before it was sent is kept no more, beyond the cursor too. */
export function opStateOf(
  seq: number,
  { cursor, frozen_seq, time_closed }: Pick<StreamRow, "cursor" | "frozen_seq" | "time_closed">,
  { isKept, isDead, isSuperseded }: Traces,
): OpState {
  if (seq > cursor && (isKept || !isSuperseded)) {
    if (time_closed !== null) return "discarded"
    return seq > frozen_seq ? "pending" : "in_flight"
  }
  return isDead ? "failed" : isSuperseded ? "superseded" : "acked"
}
