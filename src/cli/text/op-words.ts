/** What is said of ops and batches in every command alike: places, and the colour of a state. */
import type { OpState } from "../../inspect/op-state.ts"
import { toned } from "../output/terminal.ts"

/** Within the stream, both ends included. */
export function placesText({ first_seq, last_seq }: { first_seq: number; last_seq: number }): string {
  return first_seq === last_seq ? `#${first_seq}` : `#${first_seq}–${last_seq}`
}

/** `cell` as the state is shown. */
export function opTone(state: OpState, cell: string): string {
  if (state === "failed") return toned("bad", cell)
  if (state === "in_flight") return toned("warning", cell)
  return state === "pending" ? cell : toned("quiet", cell)
}
