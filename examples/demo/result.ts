/** What a run gives: `--json` prints it as it is. */
import type { Compared } from "./compare.ts"

export interface DemoOptions {
  seed: number
  /** How many times faster than it was recorded. */
  speed: number
  sabotage: boolean
}

export interface ClientFigures {
  posts: number
  retries: number
  faultsMet: number
  repeated: number
  lost: number
  /** Of these, ops that the outbox holds for settled or pending and that the service has not applied. */
  opsLost: number
  shown: Compared
}

export interface DemoResult extends DemoOptions {
  seconds: number
  events: number
  ops: number
  superseded: number
  batches: number
  faults: { kills: number; network: number }
  lost: number
  doubled: number
  outOfOrder: number
  sturdy: ClientFigures
  memory: ClientFigures
  outbox: string
}
