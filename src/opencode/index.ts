/** The opencode adapter: bus events of opencode → op intents, one share per session. */
export { mapEvent, type Mapped, type MappedOp, type TurnState } from "./map-event.ts"
export type { BusEvent } from "./event.ts"
export { legacyRest } from "./legacy-rest.ts"
export { CapturedPlaces } from "./captured-places.ts"
export { feedRecording, type Replayed, type ReplayProgress } from "./replay.ts"
export { SessionShares } from "./session-shares.ts"
