/** The opencode adapter: bus events of opencode → op intents, one share per session. */
export { mapEvent, type Mapped, type MappedOp, type TurnState } from "./map-event.ts"
export type { BusEvent } from "./event.ts"
export { CapturedPlaces } from "./captured-places.ts"
export { feedRecording, type Replayed, type ReplayProgress } from "./replay.ts"
export { EverySession } from "./every-session.ts"
export { shareSync, type EventBus, type HostSessions, type LinkedShareSync, type ShareSyncLink } from "./drop-in.ts"
export type { Notice } from "./notice.ts"
export type { Redact, SharedOp } from "./redact.ts"
