/**
 * opencode for programs: `shareSync` links the sharing of its sessions into a host, `legacyRest` speaks its own REST,
 * `mapEvent`, `EverySession` and `feedRecording` make ops of its bus events. The plugin is `sturdy/server`.
 */
export { mapEvent, type Mapped, type MappedOp, type TurnState } from "./map-event.ts"
export type { BusEvent } from "./event.ts"
export { legacyRest } from "./legacy-rest.ts"
export { feedRecording, type Replayed, type ReplayProgress } from "./replay.ts"
export { EverySession } from "./every-session.ts"
export { shareSync, type EventBus, type HostSessions, type LinkedShareSync, type ShareSyncLink } from "./drop-in.ts"
export type { ShareInfo } from "./gateway.ts"
export type { Notice } from "./notice.ts"
export type { Redact, SharedOp } from "./redact.ts"
